recovery_agent() {
N='@NONCE@'
@COMMON@

E='c=$RCVY_T; unset RCVY_T; eval "unset c; $c"'
TCP='exec 3<>"/dev/tcp/$RCVY_H/$RCVY_P"'
NC='@NC@'
WGET='@WGET@'
LIST='@LIST@'

# Kills what carries a mark, wherever it fled to.
marked() {
  for p in $F; do
    { while IFS= read -r l || [ -n "$l" ]; do
      case $l in *"RECOVERY_CHECK=$1"*) kill -9 "$p" && K=1; break ;; esac
    done <"/proc/$p/environ"; } 2>/dev/null
  done
}
# One check, $1, whose own process is $2: that one only writes the exit record, so it lives on.
slay() {
  n=0
  K=1
  while [ "$K" ] && [ "$n" -lt 40 ]; do
    K=
    n=$((n + 1))
    fresh
    tree "$$"
    case $T in *" ${2:-none} "*) fell "$2" ;; esac
    marked "$N.$1."
  done
}
sweep() {
  n=0
  K=1
  while [ "$K" ] && [ "$n" -lt 40 ]; do
    K=
    n=$((n + 1))
    fresh
    fell "$$"
    marked "$N."
  done
}

# The reader: carries standard input in records of stream $2 of check $1, up to a little more than $3
# bytes; then swallows, so that the check gets no SIGPIPE. Runs in a subshell: LC_ALL must not leak.
carry() {
  LC_ALL=C
  left=$3
  x=é1
  case ${x#??} in 1) BYTES=1 ;; *) BYTES= ;; esac
  if [ "$PIECES" = cutting ] && [ "$3" -gt 4096 ] && has sed && has fold; then
    S=$(printf '\001')
    sed "s/\$/$S/" | fold -b -w 800 | {
      folded "$1" "$2"
      swallow
    }
  else
    "$PIECES" "$1" "$2"
    swallow
  fi
  say "d $2 $1"
}
swallow() {
  [ "$left" -lt 0 ] || return 0
  if [ "$CAT" ]; then cat >/dev/null; else while read -r x; do :; done; fi
}
# Long lines, cut by tools: a shell alone takes seconds for a megabyte. S stands where a line ended.
folded() {
  while [ "$left" -ge 0 ] && IFS= read -r x; do
    case $x in
    *"$S") printf '%s\n' "$N q $2 $1 ${x%"$S"}" ;;
    *) printf '%s\n' "$N p $2 $1 $x" ;;
    esac
    left=$((left - ${#x}))
  done
}
# Where read can count, it limits a piece.
counting() {
  more=1
  while [ "$more" ] && [ "$left" -ge 0 ]; do
    x=
    IFS= read -r -n 900 x || more=
    if [ "$more" ] && [ "${#x}" -lt 900 ]; then
      printf '%s\n' "$N q $2 $1 $x"
      left=$((left - ${#x} - 1))
    elif [ "$x" ]; then
      printf '%s\n' "$N p $2 $1 $x"
      left=$((left - ${#x}))
    fi
  done
}
# Elsewhere a whole line is read, then cut.
cutting() {
  more=1
  while [ "$more" ] && [ "$left" -ge 0 ]; do
    x=
    IFS= read -r x || more=
    while [ "${#x}" -gt 200 ] && [ "$left" -ge 0 ]; do
      y=${x#$Q}
      if [ "$BYTES" ]; then printf '%s p %s %s %.200s\n' "$N" "$2" "$1" "$x"
      else printf '%s\n' "$N p $2 $1 ${x%"$y"}"; fi
      left=$((left - 200))
      x=$y
    done
    if [ "$left" -ge 0 ] && [ "$more$x" ]; then
      if [ "$more" ]; then printf '%s\n' "$N q $2 $1 $x"; else printf '%s\n' "$N p $2 $1 $x"; fi
      left=$((left - ${#x} - 1))
    fi
  done
}

# One check: its own process id, the check, its exit code. The check holds no descriptor but its three.
ask() {
  p=
  { read -r p x </proc/self/stat; } 2>/dev/null
  say "b $1 $p" >&3
  "c$1"
  say "x $1 $?" >&3
}
one() { ask "$1" 2>&1 | carry "$1" o "$2" & }
two() { { ask "$1" 2>&4 4>&- | carry "$1" o "$2" >&3 4>&-; } 4>&1 | carry "$1" e 4096 & }

list() {
  f=
  for d in /proc/[0-9]*; do f="$f $d/stat $d/cmdline"; done
  if [ "$CAT" ]; then
    say l
    cat $f 2>/dev/null
  elif [ "$BASH_THERE" ]; then
    say l
    "$B" -c "$LIST" 2>/dev/null
  else
    say Z
    return
  fi
  printf '\n%s\n' "$N L"
  has grep && grep -ls RECOVERY_CHECK= /proc/[0-9]*/environ 2>/dev/null
  say G
}
marker() {
  f=/var/run/manual-stop/$2.stopped
  if [ -e "$f" ] || [ -L "$f" ]; then
    say "m $1"
    if [ -f "$f" ] && [ -r "$f" ]; then (carry "$1" m 4096 <"$f"); fi
  fi
}
markers() {
  [ -d /var/run/manual-stop ] || return
  if [ ! -x /var/run/manual-stop ]; then
    say u
    return
  fi
  :
@MARKERS@
}

go() {
  case $1 in
@GO@
  *) ;;
  esac
}
@CHECKS@

if [ ! -r /dev/null ] || [ ! -w /dev/null ]; then
  say '! /dev/null cannot be used in the container'
  exit 0
fi
exec 3>&1
old
trap : PIPE
trap sweep EXIT
tools=
for t in bash curl wget nc cat; do has "$t" && tools="$tools $t"; done
CAT= BASH_THERE=
case "$tools " in *' cat '*) CAT=1 ;; esac
case "$tools " in *' bash '*) BASH_THERE=1 ;; esac
B=$(command -v bash || command -v sh)
Q='????????????????????????????????????????'
Q=$Q$Q$Q$Q$Q
PIECES=cutting
if [ "${BASH_VERSION-}" ]; then PIECES=counting
elif printf 'abc\n' | (IFS= read -r -n 2 x && [ "$x" = ab ]) 2>/dev/null; then PIECES=counting; fi
say "s $$$tools"
@LISTING@
markers
say r
while read -r c i p; do
  jobs >/dev/null 2>&1
  case $c in
  run) go "$i" ;;
  kill)
    slay "$i" "$p"
    say "k $i"
    ;;
  end)
    trap - EXIT
    sweep
    say e
    exit 0
    ;;
  esac
done
exit 0
}
recovery_agent
