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
say "s $$"
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
