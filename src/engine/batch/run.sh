# Before the function and its variables are there: an image may have all exported.
set +a
recovery_agent() {
rcvy_nonce='@NONCE@'
@COMMON@

rcvy_eval='eval "unset RCVY_T; $RCVY_T"'
if [ ! -r /dev/null ] || [ ! -w /dev/null ]; then
  say '! /dev/null cannot be used in the container'
  exit 0
fi
exec 3>&1
old
trap : PIPE
shell
rcvy_out=/dev/null
for rcvy_f in @LOG@ /proc/1/fd/1; do
  if [ "$rcvy_f" ] && [ ! -p "$rcvy_f" ] || [ "$rcvy_f" = /proc/1/fd/1 ]; then
    if (: >>"$rcvy_f") 2>/dev/null; then
      rcvy_out=$rcvy_f
      break
    fi
  fi
done
# What it says in its log is told where it fails; what it says to the first process the engine knows.
rcvy_before=
if [ -f "$rcvy_out" ] && has tail && has wc; then rcvy_before=$(wc -c <"$rcvy_out"); fi
last() {
  [ "$rcvy_before" ] || return 0
  tail -c "+$((rcvy_before + 1))" "$rcvy_out" | tail -c 4096 | tail -n 5 |
    while IFS= read -r rcvy_x || [ "$rcvy_x" ]; do
      printf '%s q %s 0 %.200s\n' "$rcvy_nonce" "$1" "$rcvy_x"
    done
}
say "s $$ $rcvy_out"
# Nothing runs before the host knows that it will: a start that was given up starts nothing later.
read -r rcvy_c && [ "$rcvy_c" = run ] || exit 0
# The keeper writes the exit code, and says so where it could not start the command at all.
{
  trap 'say "f" >&3' EXIT
  (
    exec 3>&-
    own
    @COMMAND@
  ) </dev/null >>"$rcvy_out" 2>&1
  rcvy_s=$?
  trap - EXIT
  [ "$rcvy_s" = 0 ] || last o >&3
  say "x 0 $rcvy_s" >&3
} &
rcvy_keeper=$!
say "b 0 $rcvy_keeper"
while read -r rcvy_c; do
  case $rcvy_c in
  kill)
    rcvy_n=0
    rcvy_some=1
    while [ "$rcvy_some" ] && [ "$rcvy_n" -lt 40 ]; do
      rcvy_some=
      rcvy_n=$((rcvy_n + 1))
      fresh
      fell "$rcvy_keeper"
    done
    # What its keeper began to say was ended with it.
    last e
    say 'k 0'
    ;;
  leave) break ;;
  esac
done
# The keeper holds our pipe; what it started does not.
kill -9 "$rcvy_keeper" 2>/dev/null
exit 0
}
recovery_agent
