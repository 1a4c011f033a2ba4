# Configurations to measure with: `jq -n -f services.jq --arg kind K --arg count N --arg folder F --arg target T`
# where T is a container, several separated by commas, or a port on the machine.

def http($port): {type: "http", endpoint: "http://127.0.0.1:\($port)/health"};
def four($i; $port):
  [ http($port),
    {type: "tcp", host: "127.0.0.1", port: ($port | tonumber)},
    {type: "process", process_name: "httpd.*\($port)"},
    {type: "custom", command: "test -r /etc/passwd"} ][$i % 4];
def named($list): reduce ($list | to_entries[]) as $e ({}; .["service-\($e.key + 100)"] = $e.value);

($target | split(",")) as $targets
| [range($count | tonumber)]
| if $kind == "mixed" then
    map({container: $targets[. % ($targets | length)], health_check: four(.; "8080")})
  elif $kind == "http" then map({health_check: http($target)})
  elif $kind == "machine" then map({health_check: four(.; $target)})
  elif $kind == "down" then
    map({container: $target, startup_delay_seconds: 2, start_period_seconds: 0,
         health_check: {type: "custom", command: "test -e /tmp/up-\(.)"}, restart_cmd: "touch /tmp/up-\(.)"})
  elif $kind == "registry" then
    map({display_name: "Service \(.)", type: "daemon", container: "services-\(. % 20)",
         health_check: (four(.; "8080") + {interval_seconds: 60, timeout_seconds: 5}),
         restart_cmd: "pkill -f service-\(.) || true; sleep 1; service-\(.) >> /var/log/service-\(.).log 2>&1 &",
         startup_delay_seconds: 5, log_path: "/var/log/service-\(.).log",
         dependencies: (if . % 10 == 0 then [] else ["service-\(. - (. % 10) + 100)"] end)})
  else error("no such kind: \($kind)") end
| {services: named(.),
   recovery: {state_dir: "\($folder)/state", log_file: "\($folder)/log", boot_grace_seconds: 0}}
