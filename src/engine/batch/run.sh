recovery_agent() {
N='@NONCE@'
@COMMON@

E='c=$RCVY_T; unset RCVY_T; eval "unset c; $c"'
if [ ! -r /dev/null ] || [ ! -w /dev/null ]; then
  say '! /dev/null cannot be used in the container'
  exit 0
fi
exec 3>&1
old
trap : PIPE
B=$(command -v bash || command -v sh)
O=/dev/null
for f in @LOG@ /proc/1/fd/1; do
  if [ "$f" ] && [ ! -p "$f" ] || [ "$f" = /proc/1/fd/1 ]; then
    if (: >>"$f") 2>/dev/null; then
      O=$f
      break
    fi
  fi
done
# What it says in its log is told where it fails; what it says to the first process the engine knows.
W=
if [ -f "$O" ] && has tail && has wc; then W=$(wc -c <"$O"); fi
last() {
  [ "$W" ] || return 0
  tail -c "+$((W + 1))" "$O" | tail -c 4096 | tail -n 5 | while IFS= read -r x || [ "$x" ]; do
    printf '%s q %s 0 %.200s\n' "$N" "$1" "$x"
  done
}
say "s $$ $O"
# Nothing runs before the host knows that it will: a start that was given up starts nothing later.
read -r c && [ "$c" = run ] || exit 0
# The keeper writes the exit code, and says so where it could not start the command at all.
{
  trap 'say "f" >&3' EXIT
  (
    exec 3>&-
    @COMMAND@
  ) </dev/null >>"$O" 2>&1
  s=$?
  trap - EXIT
  [ "$s" = 0 ] || last o >&3
  say "x 0 $s" >&3
} &
K=$!
KEEPER=$K
say "b 0 $K"
while read -r c; do
  case $c in
  kill)
    n=0
    K=1
    while [ "$K" ] && [ "$n" -lt 40 ]; do
      K=
      n=$((n + 1))
      fresh
      fell "$KEEPER"
    done
    # What its keeper began to say was ended with it.
    last e
    say 'k 0'
    ;;
  leave) break ;;
  esac
done
# The keeper holds our pipe; what it started does not.
kill -9 "$KEEPER" 2>/dev/null
exit 0
}
recovery_agent
