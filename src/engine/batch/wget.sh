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
case $(wget --version 2>&1) in
*'GNU Wget'*)
  echo rcvy:gnu >&2
  case $(wget --help 2>&1) in *--no-config*) set -- --no-config "$@" ;; esac
  [ "$RCVY_O" = - ] && set -- "$@" --content-on-error
  case $RCVY_M in
  GET) ;;
  HEAD) set -- "$@" --spider ;;
  *) set -- "$@" --method="$RCVY_M" ;;
  esac
  exec wget --no-proxy --max-redirect=0 --tries=1 -nv -S -O "$RCVY_O" "$@" "$RCVY_U"
  ;;
esac
echo rcvy:small >&2
case $RCVY_M in
GET) ;;
HEAD) set -- "$@" --spider ;;
POST) set -- "$@" --post-data '' ;;
*) cannot "send $RCVY_M" ;;
esac
h=$(wget --help 2>&1)
case $h in *-Y*) set -- "$@" -Y off ;; esac
case $h in *' -S'* | *S\]*) set -- "$@" -S ;; esac
exec wget -O "$RCVY_O" "$@" "$RCVY_U"
