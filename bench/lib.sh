# What the parts of bench/run share: tools, containers, configurations, turns, the table.
# shellcheck shell=bash

die() { echo "bench: $*" >&2; exit 1; }
calc() { awk "BEGIN { print $1 }"; }

# Installs what is missing, builds the program and the images.
prepare() {
  local packages=() pair
  for pair in hyperfine:hyperfine jq:jq monit:monit time:time python3:python3-venv; do
    type -P "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
  done
  if [ ${#packages[@]} -gt 0 ]; then
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null </dev/null
  fi
  docker version >/dev/null || die "a container engine is needed"
  recovery=${RECOVERY_BENCH_PROGRAM:-$PWD/target/release/recovery}
  [ -n "${RECOVERY_BENCH_PROGRAM:-}" ] || cargo build --locked --release --quiet
  scripts/test-images.sh
  work=$(mktemp -d)
  chmod 755 "$work"
  containers=() served=()
  rows=$work/rows
  : > "$rows"
  # Root's passes remember there whom to tell of a configuration that breaks later.
  trap 'clean; rm -rf "$work" /var/lib/recovery/last-good/*"${work##*/}"*' EXIT
}

# A throw-away environment with monit-docker; the program is $monit_docker.
install_monit_docker() {
  monit_docker=$work/venv/bin/monit-docker
  [ -x "$monit_docker" ] && return
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check monit-docker
}

# Ends what a part started.
clean() {
  if [ ${#served[@]} -gt 0 ]; then
    kill "${served[@]}" 2>/dev/null || :
    wait "${served[@]}" 2>/dev/null || :
    served=()
  fi
  if [ ${#containers[@]} -gt 0 ]; then docker rm -f "${containers[@]}" >/dev/null; containers=(); fi
}

# container SUFFIX: a container with an HTTP service; its name is in $name.
container() {
  name=recovery-bench-$$-$1
  docker run -d --init --name "$name" recovery-test/debian httpd -f -p 8080 -h /www >/dev/null
  containers+=("$name")
}

# A service on the machine, on $port, and a process of another program: ours are not looked for.
serve() {
  "$recovery" demo-service --listen 127.0.0.1:0 > "$work/listens" &
  served+=($!)
  until grep -q listens "$work/listens"; do kill -0 "${served[0]}" && sleep 0.1; done
  port=$(grep -oE '[0-9]+$' "$work/listens")
  (exec -a "httpd-$port" sleep 86400) &
  served+=($!)
}

# configure KIND COUNT TARGET: writes a configuration; its path is in $config.
configure() {
  local folder=$work/$1-$2
  config=$folder/system-config.json
  mkdir -p "$folder"
  jq -n -f bench/services.jq --arg kind "$1" --arg count "$2" --arg folder "$folder" --arg target "$3" > "$config"
}

monitrc() {
  printf 'set log %s/monit.log\nset pidfile %s/monit.pid\n' "$work" "$work"
  printf 'set idfile %s/monit.id\nset statefile %s/monit.state\n' "$work" "$work"
  local i
  for i in $(seq "$1"); do
    printf 'check host service-%d with address 127.0.0.1\n' "$i"
    printf '  if failed port %s protocol http request "/health" with timeout 5 seconds then alert\n' "$port"
  done
}

# calls COMMAND: counts the engine's calls, one line each, in $work/calls.
calls() {
  mkdir -p "$work/wrapped"
  # shellcheck disable=SC2016  # the wrapper's own arguments
  printf '#!/bin/sh\necho "$1" >> %s\nexec %s "$@"\n' "$work/calls" "$(type -P docker)" > "$work/wrapped/docker"
  chmod +x "$work/wrapped/docker"
  : > "$work/calls"
  PATH=$work/wrapped:$PATH sh -c "$1" >/dev/null 2>&1 || die "not healthy: $1"
}

# take_turns ROUNDS RUNS [--prepare COMMAND] NAME=COMMAND…: the commands' times are in $work/NAME.times.
take_turns() {
  local rounds=$1 runs=$2 word arguments=() names=() i n
  shift 2
  if [ "$1" = --prepare ]; then arguments=(--prepare "$2"); shift 2; fi
  for word in "$@"; do
    names+=("${word%%=*}")
    arguments+=("${word#*=}")
    : > "$work/${word%%=*}.times"
  done
  for i in $(seq "$rounds"); do
    hyperfine --style none --warmup "$((i == 1 && runs > 1))" --runs "$runs" --export-json "$work/turn.json" \
      "${arguments[@]}" >/dev/null 2> "$work/turn.err" || die "$(cat "$work/turn.err")"
    for n in "${!names[@]}"; do
      jq ".results[$n].times[]" "$work/turn.json" >> "$work/${names[$n]}.times"
    done
  done
}

median() { jq -s 'sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2' "$work/$1.times"; }
ms() { calc "$(median "$1") * 1000" | xargs printf '%.0f ms'; }

# slower ROW TARGET A B and faster ROW TARGET A B: how many times B's time A takes.
slower() { row "$1" "$2" "$(printf '%.2f ×' "$(calc "$(median "$3") / $(median "$4")")")" "$(ms "$3") and $(ms "$4")"; }
faster() { row "$1" "$2" "$(printf '%.1f times' "$(calc "$(median "$3") / $(median "$4")")")" "$(ms "$4") and $(ms "$3")"; }

# memory COMMAND…: the most memory that it held.
memory() {
  command time -f %M -o "$work/memory" "$@" >/dev/null 2>&1 || true
  tail -n 1 "$work/memory" | awk '{ printf "%.1f MB", $1 * 1024 / 1e6 }'
}

row() {
  printf '| %s | %s | %s | %s |\n' "$@" | tee -a "$rows" >&2
}

# The table, with the machine it was made on.
report() {
  local table=$work/table
  {
    printf 'Measured on %s: %s cores, %s, Linux %s, Docker engine %s with client %s.\n\n' "$(date -u +%F)" \
      "$(nproc)" "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(uname -r | cut -d- -f1)" \
      "$(docker version -f '{{.Server.Version}}')" "$(docker version -f '{{.Client.Version}}')"
    printf '| what | target | measured | medians |\n| --- | --- | --- | --- |\n'
    cat "$rows"
  } > "$table"
  cat "$table"
  [ -n "$1" ] || return 0
  sed -i -e '/<!-- measured -->/,/<!-- end -->/{//!d}' -e "/<!-- measured -->/r $table" docs/performance.md
}
