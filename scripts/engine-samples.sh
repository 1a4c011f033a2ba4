#!/usr/bin/env bash
# Writes down what an engine really answers, for the table in src/engine/formats/samples.rs:
#
#   scripts/engine-samples.sh ENGINE IMAGE FOLDER
#
# ENGINE is a command line (docker, podman, a wrapper), IMAGE has sh and sleep. Makes containers named sample-…, and
# removes them.
set -Eeuo pipefail
trap 'echo "engine-samples: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
umask 022
engine=$1 image=$2 folder=$3
listing=$(dirname "$0")/../src/engine/formats/listing.rs
runs=$(dirname "$0")/../src/engine/formats/runs.rs
names=()

die() { echo "engine-samples: $*" >&2; exit 1; }

# The format that we ask with, from the source.
format_of() { sed -n 's/^pub const FORMAT: &str = r\{0,1\}#\{0,1\}"\(.*\)"#\{0,1\};$/\1/p' "$1"; }

# make NAME OPTION… -- TEXT: a container that runs this shell text.
make() {
  local name=sample-$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  case ${options[*]} in *--network*) ;; *) options+=(--network host) ;; esac
  names+=("$name")
  "$engine" run --detach --name "$name" "${options[@]}" "$image" sh -c "$2" > /dev/null
}

id_of() { "$engine" inspect --type container --format '{{.Id}}' "$1"; }

# wait_for NAME STATE
wait_for() {
  local _
  for _ in $(seq 100); do
    [ "$("$engine" inspect --type container --format '{{.State.Status}}' "sample-$1")" = "$2" ] && return
    sleep 0.1
  done
  die "$1 is not $2"
}

# error NAME COMMAND…: what it says and how it ends; standard output and error as the client gives them.
error() {
  local name=$1 code=0
  shift
  "$engine" "$@" > "$work/out" 2> "$work/err" < /dev/null || code=$?
  { echo "$code"; cat "$work/err"; } > "$folder/errors/$name.txt"
  if [ -s "$work/out" ]; then { echo "-- standard output"; cat "$work/out"; } >> "$folder/errors/$name.txt"; fi
}

gentle='trap "exit 0" TERM; while :; do sleep 0.1; done'
work=$(mktemp -d)
# The newest first, since one may live on the network of an older one.
clean_up() {
  local at
  for ((at = ${#names[@]} - 1; at >= 0; at--)); do "$engine" rm --force "${names[at]}" > /dev/null 2>&1; done
  rm -rf "$work"
}
trap clean_up EXIT
rm -rf "$folder"
mkdir -p "$folder/inspect" "$folder/events" "$folder/errors"

begin=$(date +%s)
make running -- "$gentle"
make sharing --network "container:sample-running" -- "$gentle"
make kept --label com.docker.swarm.task.id=iz9l23 --label com.docker.swarm.service.name=shop_web -- "$gentle"
make paused -- "$gentle"
"$engine" pause sample-paused > /dev/null
"$engine" create --name sample-created --network host "$image" sh -c true > /dev/null
names+=(sample-created)
make crashed --stop-timeout 3 -- 'sleep 0.3; exit 3'
make finished -- 'sleep 0.3'
make stopped -- "$gentle"
"$engine" stop sample-stopped > /dev/null
make refused -- 'trap "exit 1" TERM; while :; do sleep 0.1; done'
"$engine" stop sample-refused > /dev/null
make deaf -- 'exec sleep 1000'
"$engine" stop --time 1 sample-deaf > /dev/null 2>&1
make killed -- 'exec sleep 1000'
"$engine" kill sample-killed > /dev/null
make shot -- 'exec sleep 1000'
kill -9 "$("$engine" inspect --type container --format '{{.State.Pid}}' sample-shot)"
ended=(crashed finished stopped refused deaf killed shot)
for name in "${ended[@]}"; do wait_for "$name" exited; done

"$engine" ps -a --no-trunc --filter name=sample- --format "$(format_of "$listing")" > "$folder/ps.txt"
"$engine" inspect --type container --format "$(format_of "$runs")" "${names[@]}" > "$folder/runs.txt"
for name in running paused created "${ended[@]}"; do
  "$engine" inspect --type container "sample-$name" | tr -s ' \n' ' ' > "$folder/inspect/$name.json"
done
bound=(--until "$(($(date +%s) + 1))")
# Podman prints nothing for a time in the past; its flag stands in no help.
case $("$engine" --version) in podman*) bound=(--stream=false) ;; esac
for name in "${ended[@]}"; do
  "$engine" events --since "$begin" "${bound[@]}" --filter "container=$(id_of "sample-$name")" --format '{{json .}}' \
    > "$folder/events/$name.txt"
done

error exec-gone exec -i sample-nothing sh
error exec-paused exec -i sample-paused sh
error exec-ended exec -i sample-crashed sh
error exec-no-shell exec -i sample-running /no/such/sh
error exec-no-user exec -i -u nobody9 sample-running sh
error inspect-gone inspect --type container sample-nothing
error start-gone start sample-nothing
error start-paused start sample-paused
error restart-paused restart -t 1 sample-paused
