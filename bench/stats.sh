#!/usr/bin/env bash
# How fast `recovery stats` reads a log, beside the shell's way: one `grep … | wc -l` a figure.
#
# Usage: bench/stats.sh [MEGABYTES]     (300; needs hyperfine, python3 and a release build)
# Writes the log below a temporary folder, and prints the ratio of the medians of one hyperfine run.
set -euo pipefail
cd "$(dirname "$0")/.."

megabytes=${1:-300}
program=${RECOVERY:-target/release/recovery}
command -v hyperfine > /dev/null || { echo "skipped: hyperfine is not installed"; exit 0; }
[ -x "$program" ] || cargo build --release --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Fifty services looked at every minute: mostly healthy, some restarts, as the program writes its log.
awk -v wanted="$((megabytes * 1000000))" '
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
  }' > "$work/log"

cat > "$work/shell" <<SHELL
grep "Health check passed" "$work/log" | wc -l
grep "Health check failed" "$work/log" | wc -l
grep "Successfully recovered" "$work/log" | wc -l
SHELL

printf "a log of %d MB\n" "$(($(wc -c < "$work/log") / 1000000))"
hyperfine --warmup 1 --runs "${RUNS:-10}" --export-json "$work/times.json" \
  --command-name 'three grep | wc -l' "sh $work/shell" \
  --command-name 'recovery stats' "$program stats $work/log"
python3 - "$work/times.json" <<'PYTHON'
import json, sys
shell, ours = (result["median"] for result in json.load(open(sys.argv[1]))["results"])
print(f"medians: shell {shell * 1000:.0f} ms, recovery stats {ours * 1000:.0f} ms: {shell / ours:.1f} times faster")
PYTHON
