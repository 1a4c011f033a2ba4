say() { printf '%s\n' "$N $1"; }
has() { command -v "$1" >/dev/null 2>&1; }

# Processes that came after us, in F: only among those can any of ours be.
old() { OLD=' '; for d in /proc/[0-9]*; do OLD="$OLD${d#/proc/} "; done; }
fresh() {
  F=
  for d in /proc/[0-9]*; do
    p=${d#/proc/}
    case "$OLD$$ " in *" $p "*) ;; *) F="$F $p" ;; esac
  done
}
# The parent of a process that is no zombie, in PP.
parent() {
  PP=
  l=
  { read -r l <"/proc/$1/stat"; } 2>/dev/null
  l=${l##*) }
  set -- $l
  case ${1-Z} in Z | X | x) ;; *) PP=${2-} ;; esac
}
# A process and its descendants among F, in T.
tree() {
  T=" $1 "
  g=1
  while [ "$g" ]; do
    g=
    for p in $F; do
      case $T in *" $p "*) continue ;; esac
      parent "$p"
      case $PP in '') continue ;; esac
      case $T in *" $PP "*) T="$T$p " g=1 ;; esac
    done
  done
}
# Kills the descendants of a process, not the process itself; K tells that there were some.
fell() {
  tree "$1"
  for p in $T; do
    [ "$p" = "$1" ] || { kill -9 "$p" && K=1; }
  done 2>/dev/null
}
