#!/usr/bin/env bash
# A watchdog as people write it in shell: `jq` for each key, one `docker exec` for each check. It only looks.
#
# shell-runner.sh CONFIG
set -u
trap 'echo "bench/shell-runner.sh: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
config=$1
key() { jq -r --arg s "$service" ".services[\$s]$1" "$config"; }
down=0
while read -r service; do
  [ "$(key '.enabled // true')" = true ] || continue
  container=$(key .container)
  timeout=$(key '.health_check.timeout_seconds // 5')
  type=$(key .health_check.type)
  case $type in
    http) check="curl -sf --max-time $timeout -o /dev/null '$(key .health_check.endpoint)'" ;;
    tcp) check="timeout $timeout bash -c '</dev/tcp/$(key .health_check.host)/$(key .health_check.port)'" ;;
    process) check="pgrep -f '$(key .health_check.process_name)' >/dev/null" ;;
    custom) check="timeout $timeout bash -c '$(key .health_check.command)'" ;;
  esac
  docker exec "$container" bash -c "$check" </dev/null || { echo "$service is down"; down=1; }
done < <(jq -r '.services | keys[]' "$config")
exit "$down"
