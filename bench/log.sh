#!/usr/bin/env bash
# Prints so many megabytes of log, for `recovery stats` to read: `log.sh MEGABYTES`.
set -Eeu
# Nothing ends without a word: set -e alone is silent.
trap 'echo "bench/log.sh: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR

# Fifty services looked at every minute: mostly healthy, some restarts, as the program writes its log.
awk -v wanted="$(($1 * 1000000))" '
  function say(level, text) {
    line = stamp sprintf("%02d.%03dZ ", second, n % 1000) level " " text
    print line
    written += length(line) + 1
  }
  BEGIN {
    srand(7)
    for (minute = 0; written < wanted; minute++) {
      stamp = sprintf("2026-%02d-%02dT%02d:%02d:", minute / 40320 % 12 + 1, minute / 1440 % 28 + 1, minute / 60 % 24, minute % 60)
      for (service = 1; service <= 50; service++) {
        n++
        second = int(service / 10)
        name = "service-" service
        if (rand() > 0.02) { say("INFO", "Health check passed for " name " (duration_ms: " int(rand() * 40) ")"); continue }
        say("WARNING", "Health check failed for " name ", attempting recovery... (reason: connection refused on localhost:90" service "; consecutive_failures: 1; duration_ms: 3)")
        say("INFO", "Executing restart command for " name " (command: systemctl restart " name "; attempt: 1; max_attempts: 3)")
        if (rand() > 0.1) say("INFO", "Successfully recovered " name " (duration_ms: 6000; attempt: 1)")
        else say("ERROR", "Failed to recover " name " (reason: connection refused; restart_result: exit 1; duration_ms: 36000; attempt: 1)")
      }
    }
  }'
