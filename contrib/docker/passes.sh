#!/bin/sh
# The sidecar's main program: one pass after the other, with a rest between them, until it is told to end.
# As a container's first process it has no default for SIGTERM, so it must listen; and it must hand the signal on,
# so that a pass ends properly instead of being killed with the container.
set -u
rest=${RECOVERY_REST_SECONDS:-300}
child=
trap 'kill -TERM "$child" 2>/dev/null; wait "$child"; exit 0' TERM INT

while :; do
  # A pass that found something down ends with another code than 0; the next one looks again.
  recovery run &
  child=$!
  wait "$child"
  sleep "$rest" &
  child=$!
  wait "$child"
done
