#!/usr/bin/env bash
# The same checks written by hand for speed, all in one `docker exec`, 16 side by side: what could be had at
# best, with one listing of processes for all. It knows its checks in advance: `one-exec.sh CONFIG` prints the
# script, for `docker exec -i C bash`.
set -Eeu
# Nothing ends without a word: set -e alone is silent.
trap 'echo "bench/one-exec.sh: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
jq -r '
  "processes=$(ps -eo args=)",
  "say() { printf \"%s %s\\n\" \"$1\" \"$2\"; }",
  (.services | to_entries | to_entries[] | .key as $i | .value
    | .key as $name | .value.health_check as $c
    | ($c.timeout_seconds // 5 | tostring) as $t
    | (if $c.type == "http" then "curl -q -s -f --noproxy \"*\" --max-time \($t) -o /dev/null \($c.endpoint | @sh)"
       elif $c.type == "tcp" then "timeout \($t) bash -c \("</dev/tcp/\($c.host)/\($c.port)" | @sh)"
       elif $c.type == "process" then "pattern=\($c.process_name | @sh); [[ $processes =~ $pattern ]]"
       else "timeout \($t) bash -c \($c.command | @sh)" end) as $check
    | (if $i >= 16 then "wait -n" else empty end),
      "{ \($check); say \($name) $?; } </dev/null &"),
  "wait"' "$1"
