# Nothing of the image's may change what this shell does: options (SHELLOPTS of bash), functions that are named
# like what is used here, a time-out for read, a limit for functions that call each other. All variables here begin with rcvy_ and are exported to nobody.
set +a +e +f +u +v +x
unset -f printf read kill jobs command cat grep head dd sed fold env 2>/dev/null
IFS=' 	
'
rcvy_tmout=${TMOUT-} rcvy_funcnest=${FUNCNEST-} rcvy_is_bash=
unset TMOUT FUNCNEST
# An image may well have a variable of that name.
case ${BASHPID-}:${BASH_VERSION-} in $$:?*) rcvy_is_bash=1 ;; esac
say() { printf '%s\n' "$rcvy_nonce $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
# The shell for the texts of a configuration, in rcvy_shell. -p of bash: no start file, function or option of the
# image's changes what they mean.
shell() {
  rcvy_shell=$(command -v sh)
  if has bash; then rcvy_shell="$(command -v bash) -p"; elif [ "$rcvy_is_bash" ]; then rcvy_shell="$rcvy_shell -p"; fi
}
# What a check or a command shall find in its environment as the image has it.
own() {
  [ ! "$rcvy_tmout" ] || export TMOUT="$rcvy_tmout"
  [ ! "$rcvy_funcnest" ] || export FUNCNEST="$rcvy_funcnest"
}

# Processes that came after us, in rcvy_new: only among those can any of ours be.
old() { rcvy_old=' '; for rcvy_d in /proc/[0-9]*; do rcvy_old="$rcvy_old${rcvy_d#/proc/} "; done; }
fresh() {
  rcvy_new=
  for rcvy_d in /proc/[0-9]*; do
    rcvy_p=${rcvy_d#/proc/}
    case "$rcvy_old$$ " in *" $rcvy_p "*) ;; *) rcvy_new="$rcvy_new $rcvy_p" ;; esac
  done
}
# The parent of a process that is no zombie, in rcvy_parent.
parent() {
  rcvy_parent=
  rcvy_l=
  { read -r rcvy_l <"/proc/$1/stat"; } 2>/dev/null
  rcvy_l=${rcvy_l##*) }
  set -- $rcvy_l
  case ${1-Z} in Z | X | x) ;; *) rcvy_parent=${2-} ;; esac
}
# A process and its descendants among the new ones, in rcvy_tree.
tree() {
  rcvy_tree=" $1 "
  rcvy_grows=1
  while [ "$rcvy_grows" ]; do
    rcvy_grows=
    for rcvy_p in $rcvy_new; do
      case $rcvy_tree in *" $rcvy_p "*) continue ;; esac
      parent "$rcvy_p"
      case $rcvy_parent in '') continue ;; esac
      case $rcvy_tree in *" $rcvy_parent "*) rcvy_tree="$rcvy_tree$rcvy_p " rcvy_grows=1 ;; esac
    done
  done
}
# Kills the descendants of a process, not the process itself; rcvy_some tells that there were some.
fell() {
  tree "$1"
  for rcvy_p in $rcvy_tree; do
    [ "$rcvy_p" = "$1" ] || { kill -9 "$rcvy_p" && rcvy_some=1; }
  done 2>/dev/null
}
