# Before the function and its variables are there: an image may have all exported.
set +a
recovery_agent() {
rcvy_nonce='@NONCE@'
@COMMON@
rcvy_d=/var/run/manual-stop
rcvy_f=$rcvy_d/@SERVICE@.stopped
say "s $$"
if [ -d "$rcvy_d" ] && [ ! -x "$rcvy_d" ]; then
  say "! $rcvy_d in the container cannot be searched"
  exit 0
fi
if [ -e "$rcvy_f" ] || [ -L "$rcvy_f" ]; then
  rm -f "$rcvy_f"
  if [ -e "$rcvy_f" ] || [ -L "$rcvy_f" ]; then
    say "! $rcvy_f in the container cannot be removed"
  else
    say y
  fi
else
  say n
fi
exit 0
}
recovery_agent
