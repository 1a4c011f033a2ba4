# Before the function and its variables are there: an image may have all exported.
set +a
recovery_agent() {
rcvy_nonce='@NONCE@'
rcvy_mark='@MARK@'
@COMMON@

rcvy_eval='eval "unset RCVY_T; $RCVY_T"'
rcvy_tcp='exec 3<>"/dev/tcp/$RCVY_H/$RCVY_P"'
rcvy_nc='@NC@'
rcvy_wget='@WGET@'
rcvy_list='@LIST@'

# Kills what carries a mark, wherever it fled to.
marked() {
  for rcvy_p in $rcvy_new; do
    { while IFS= read -r rcvy_l || [ -n "$rcvy_l" ]; do
      case $rcvy_l in *"RECOVERY_CHECK=$1"*) kill -9 "$rcvy_p" && rcvy_some=1; break ;; esac
    done <"/proc/$rcvy_p/environ"; } 2>/dev/null
  done
}
# One check, $1, whose own process is $2: that one only writes the exit record, so it lives on.
slay() {
  rcvy_n=0
  rcvy_some=1
  while [ "$rcvy_some" ] && [ "$rcvy_n" -lt 40 ]; do
    rcvy_some=
    rcvy_n=$((rcvy_n + 1))
    fresh
    tree "$$"
    case $rcvy_tree in *" ${2:-none} "*) fell "$2" ;; esac
    marked "$rcvy_mark.$1."
  done
}
sweep() {
  rcvy_n=0
  rcvy_some=1
  while [ "$rcvy_some" ] && [ "$rcvy_n" -lt 40 ]; do
    rcvy_some=
    rcvy_n=$((rcvy_n + 1))
    fresh
    fell "$$"
    marked "$rcvy_mark."
  done
}

# The readers: they carry standard input in records of stream $2 of check $1, up to a little more than $3
# bytes; then they swallow, so that the check gets no SIGPIPE. Each runs in a subshell: LC_ALL must not leak.
#
# brief: what was written by the tools that we ask, never much and never a line without end.
brief() {
  export LC_ALL=C
  rcvy_left=$3
  "$rcvy_pieces" "$1" "$2"
  swallow
  say "d $2 $1"
}
# carry: what may be anything.
carry() {
  export LC_ALL=C
  rcvy_left=$3
  # Where no process can be started for what follows, nobody reads what the check says.
  rcvy_c=$1
  trap 'say "c $rcvy_c"' EXIT
  if [ "$2" = m ] && [ "$rcvy_first" ]; then
    # A shell that passes over NULs would read a file of nothing else to its end.
    first "$3" | "$rcvy_pieces" "$1" "$2"
  elif [ "$rcvy_pieces" = counting ]; then
    counting "$1" "$2"
  elif [ "$3" -gt 4096 ] && [ "$rcvy_folds" ]; then
    rcvy_left=$(($3 * 2 + 8))
    { first "$3"; printf X; } | sed "s/$rcvy_one/${rcvy_one}a/g; s/\$/${rcvy_one}e/" | fold -b -w 800 | folded "$1" "$2"
    rcvy_left=-1
  elif [ ! "$rcvy_first" ]; then
    cutting "$1" "$2"
  else
    first "$3" | cutting "$1" "$2"
    rcvy_left=-1
  fi
  # A marker may be a file of any size, and nobody waits at its other end.
  [ "$2" = m ] || swallow
  say "d $2 $1"
  trap - EXIT
}
# One byte more than it may be, so that more is seen to be there. What is short comes on as it comes: dd holds
# nothing back.
first() {
  case $1$rcvy_first in
  4096*dd*) dd bs=1 count=4097 ;;
  *head) head -c $(($1 + 1)) ;;
  *dd) dd bs=1 count=$(($1 + 1)) ;;
  *) cat ;;
  esac 2>/dev/null
}
swallow() {
  [ "$rcvy_left" -lt 0 ] || return 0
  case $rcvy_drain in
  cat) cat ;;
  dd) dd bs=65536 ;;
  head) head -c 1000000000000 ;;
  *) while read -r rcvy_x; do :; done ;;
  esac >/dev/null 2>&1
}
# Lines cut by tools, which a shell alone takes seconds for. What fold breaks is not told from what the check
# ended: so the line ends were written out before, as \001e, a \001 as \001a, and an X closes it all. That makes
# it twice as long at most.
folded() {
  while [ "$rcvy_left" -ge 0 ] && { IFS= read -r rcvy_x || [ "$rcvy_x" ]; }; do
    printf '%s\n' "$rcvy_nonce w $2 $1 $rcvy_x"
    rcvy_left=$((rcvy_left - ${#rcvy_x}))
  done
}
# Where read can count, it limits a piece.
counting() {
  rcvy_more=1
  while [ "$rcvy_more" ] && [ "$rcvy_left" -ge 0 ]; do
    rcvy_x=
    IFS= read -r -n 900 rcvy_x || rcvy_more=
    if [ "$rcvy_more" ] && [ "${#rcvy_x}" -lt 900 ]; then
      printf '%s\n' "$rcvy_nonce q $2 $1 $rcvy_x"
      rcvy_left=$((rcvy_left - ${#rcvy_x} - 1))
    elif [ "$rcvy_x" ]; then
      printf '%s\n' "$rcvy_nonce p $2 $1 $rcvy_x"
      rcvy_left=$((rcvy_left - ${#rcvy_x}))
    fi
  done
}
# Elsewhere a whole line is read, then cut.
cutting() {
  rcvy_x=é1
  case ${rcvy_x#??} in 1) rcvy_bytes=1 ;; *) rcvy_bytes= ;; esac
  rcvy_more=1
  while [ "$rcvy_more" ] && [ "$rcvy_left" -ge 0 ]; do
    rcvy_x=
    IFS= read -r rcvy_x || rcvy_more=
    while [ "${#rcvy_x}" -gt 200 ] && [ "$rcvy_left" -ge 0 ]; do
      rcvy_y=${rcvy_x#$rcvy_any}
      if [ "$rcvy_bytes" ]; then printf '%s p %s %s %.200s\n' "$rcvy_nonce" "$2" "$1" "$rcvy_x"
      else printf '%s\n' "$rcvy_nonce p $2 $1 ${rcvy_x%"$rcvy_y"}"; fi
      rcvy_left=$((rcvy_left - 200))
      rcvy_x=$rcvy_y
    done
    if [ "$rcvy_left" -ge 0 ] && [ "$rcvy_more$rcvy_x" ]; then
      if [ "$rcvy_more" ]; then printf '%s\n' "$rcvy_nonce q $2 $1 $rcvy_x"
      else printf '%s\n' "$rcvy_nonce p $2 $1 $rcvy_x"; fi
      rcvy_left=$((rcvy_left - ${#rcvy_x} - 1))
    fi
  done
}

# One check: its own process id, the check, its exit code. The check holds no descriptor but its three.
ask() {
  rcvy_p=
  { read -r rcvy_p rcvy_x </proc/self/stat; } 2>/dev/null
  say "b $1 $rcvy_p" >&3
  own
  "c$1"
  say "x $1 $?" >&3
}
# How: by which reader (brief or carry), with both streams in one or standard error apart.
one() { ask "$2" 2>&1 | "$1" "$2" o "$3" & }
two() { { ask "$2" 2>&4 4>&- | "$1" "$2" o "$3" >&3 4>&-; } 4>&1 | carry "$2" e 4096 & }

list() {
  rcvy_f=
  for rcvy_d in /proc/[0-9]*; do
    rcvy_f="$rcvy_f $rcvy_d/stat $rcvy_d/cmdline /proc/sys/kernel/ostype"
  done
  if [ "$rcvy_cat" ]; then
    say l
    cat $rcvy_f 2>/dev/null
  elif [ "$rcvy_bash" ]; then
    say l
    $rcvy_shell -c "$rcvy_list" 2>/dev/null
  else
    say Z
    return
  fi
  printf '\n%s\n' "$rcvy_nonce L"
  # Only marks as we give them: an image may have a variable of that name.
  has grep && (GREP_OPTIONS= LC_ALL=C && grep -lsE 'RECOVERY_CHECK=(engine|judge|relay|[0-9a-f]{16})' /proc/[0-9]*/environ 2>/dev/null)
  say G
}
marker() {
  rcvy_f=/var/run/manual-stop/$2.stopped
  if [ -e "$rcvy_f" ] || [ -L "$rcvy_f" ]; then
    say "m $1"
    if [ -f "$rcvy_f" ] && [ -r "$rcvy_f" ]; then (carry "$1" m 65536 <"$rcvy_f"); fi
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
rcvy_tools=
for rcvy_x in bash curl wget nc cat; do has "$rcvy_x" && rcvy_tools="$rcvy_tools $rcvy_x"; done
rcvy_cat= rcvy_bash= rcvy_first= rcvy_folds=
case "$rcvy_tools " in *' cat '*) rcvy_cat=1 ;; esac
rcvy_drain=
for rcvy_x in cat dd head; do [ "$rcvy_drain" ] || ! has "$rcvy_x" || rcvy_drain=$rcvy_x; done
rcvy_http=carry
case "$rcvy_tools " in *' curl '*) rcvy_http=brief ;; esac
case "$rcvy_tools " in *' bash '*) rcvy_bash=1 ;; esac
shell
rcvy_one=$(printf '\001')
rcvy_any='????????????????????????????????????????'
rcvy_any=$rcvy_any$rcvy_any$rcvy_any$rcvy_any$rcvy_any
for rcvy_x in dd head; do has "$rcvy_x" && rcvy_first="$rcvy_first $rcvy_x"; done
rcvy_pieces=cutting
if [ "$rcvy_is_bash" ]; then rcvy_pieces=counting
elif printf 'abc\n' | (IFS= read -r -n 2 rcvy_x && [ "$rcvy_x" = ab ]) 2>/dev/null; then rcvy_pieces=counting
else
  if [ "$rcvy_first$rcvy_cat" ] && has sed && has fold; then rcvy_folds=1; fi
fi
say "s $$$rcvy_tools${rcvy_drain:+ drain}"
@LISTING@
markers
say r
while read -r rcvy_c rcvy_i rcvy_p; do
  jobs >/dev/null 2>&1
  case $rcvy_c in
  run) go "$rcvy_i" ;;
  kill)
    slay "$rcvy_i" "$rcvy_p"
    say "k $rcvy_i"
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
