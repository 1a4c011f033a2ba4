unset http_proxy https_proxy ftp_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
n=$#
while [ "$n" -gt 0 ]; do
  set -- "$@" --header "$1"
  shift
  n=$((n - 1))
done
cannot() {
  echo "rcvy:cannot $1" >&2
  exit 99
}
[ "$RCVY_K" ] && set -- "$@" --no-check-certificate
h=$(wget --help 2>&1)
case $(wget --version 2>&1) in
*'GNU Wget'*)
  echo rcvy:gnu >&2
  case $h in *--no-config*) set -- --no-config "$@" ;; esac
  case $h in *--no-hsts*) set -- --no-hsts "$@" ;; esac
  case $h in *--dns-timeout*) set -- --dns-timeout="$RCVY_L" "$@" ;; esac
  if [ "$RCVY_O" = - ]; then
    set -- --content-on-error "$@"
    case $h in *--compression*)
      echo rcvy:gunzips >&2
      set -- --compression=auto "$@"
      ;;
    esac
  fi
  case $RCVY_M in
  GET) ;;
  HEAD) set -- "$@" --spider ;;
  *) set -- "$@" --method="$RCVY_M" ;;
  esac
  exec wget --no-proxy --max-redirect=0 --tries=1 -nv -S -O "$RCVY_O" "$@" "$RCVY_U"
  ;;
esac
echo rcvy:small >&2
# HEAD would go out as GET.
case $RCVY_M in
GET) ;;
POST) set -- "$@" --post-data '' ;;
*) cannot "send $RCVY_M" ;;
esac
case $h in *-Y*) set -- "$@" -Y off ;; esac
case $h in *' -S'* | *S\]*) set -- "$@" -S ;; esac
# It tries only the first address of a name. What it says goes on at once, and is looked at for a connection
# that could not be made.
at() {
  { { wget -O "$RCVY_O" "$@"; echo "rcvy:exit $?" >&2; } 2>&1 >&5 | {
    s=1 r=
    while IFS= read -r l || [ "$l" ]; do
      case $l in
      "rcvy:exit "*) s=${l#rcvy:exit } ;;
      *) printf '%s\n' "$l" >&2 ;;
      esac
      case $l in *"can't connect to"*) r=1 ;; esac
    done
    [ "$r" ] && exit 98
    exit "$s"
  }; } 5>&1
}
named=
case $RCVY_N in
*:*) ;;
*[!0-9.]*) named=1 ;;
esac
[ "${named-}" ] || exec wget -O "$RCVY_O" "$@" "$RCVY_U"
at "$@" "$RCVY_U"
s=$?
[ "$s" = 98 ] || exit "$s"
for a in $(addresses "$RCVY_N"); do
  [ "$s" = 98 ] || break
  case $a in *:*) a="[$a]" ;; esac
  if [ "$RCVY_R" ]; then at "$@" --header "Host: $RCVY_R" "${RCVY_U%%://*}://$a$RCVY_D"
  else at "$@" "${RCVY_U%%://*}://$a$RCVY_D"; fi
  s=$?
done
exit "$s"
