recovery_agent() {
N='@NONCE@'
say() { printf '%s\n' "$N $1"; }
d=/var/run/manual-stop
f=$d/@SERVICE@.stopped
say "s $$"
if [ -d "$d" ] && [ ! -x "$d" ]; then
  say "! $d in the container cannot be searched"
  exit 0
fi
if [ -e "$f" ] || [ -L "$f" ]; then
  rm -f "$f"
  if [ -e "$f" ] || [ -L "$f" ]; then
    say "! $f in the container cannot be removed"
  else
    say y
  fi
else
  say n
fi
exit 0
}
recovery_agent
