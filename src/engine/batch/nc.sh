z=
case $(nc -h 2>&1) in *-z*) z=1 ;; esac
try() {
  if [ "$z" ]; then nc -z -w "$RCVY_W" "$1" "$RCVY_P"
  else nc -w "$RCVY_W" "$1" "$RCVY_P" -e true; fi
}
try "$RCVY_H"
s=$?
[ "$s" = 0 ] && exit 0
if [ "$RCVY_H" = localhost ]; then
  try 127.0.0.1 && exit 0
  try ::1 && exit 0
fi
exit "$s"
