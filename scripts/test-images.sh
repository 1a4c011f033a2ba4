#!/usr/bin/env bash
# Builds the images that the container tests run in, from this machine's own programs: nothing is pulled.
#
#   recovery-test/debian    bash, dash as sh, coreutils, procps, curl, a small httpd; users root and app
#   recovery-test/dash      the same without bash, timeout and curl, with GNU wget where the machine has it
#   recovery-test/busybox   nothing but busybox
#   recovery-test/noshell   /httpd and its libraries: no shell, no tool
#
# RECOVERY_TEST_IMAGES is another word than `recovery-test` for their names, so that those of another busybox (the
# first in PATH is taken, dynamic or static) can stand beside them.
#
# Quick where they are there already: each carries the checksum of its recipe as a label. Parallel runs wait
# for each other. `--force` builds them anew.
set -Eeuo pipefail
# Nothing ends without a word: set -e alone is silent.
trap 'echo "test-images: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
umask 022

here=$(cd "$(dirname "$0")" && pwd)
engine=${RECOVERY_TEST_ENGINE:-docker}
names=${RECOVERY_TEST_IMAGES:-recovery-test}
images=(debian dash busybox noshell)
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

coreutils=(
  '[' basename cat chmod chown cp cut date dd dirname echo env expr false head id ln ls mkdir mkfifo mktemp mv
  nice nohup nproc od printf pwd readlink rm rmdir seq sleep sort stat stty tail tee test touch tr true tty uname wc
)
more=(grep sed awk find xargs setsid ps pgrep pkill pidof kill uptime free hostname)

die() { echo "test-images: $*" >&2; exit 1; }

# What the images need and the machine lacks. Never on a machine that has all of it.
install_missing() {
  local packages=() pair
  for pair in busybox:busybox curl:curl pgrep:procps setsid:util-linux wget:wget dash:dash; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
  done
  [ ${#packages[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "install these first: ${packages[*]}"
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null </dev/null ||
    { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
      "${as_root[@]}" apt-get install -y -qq "${packages[@]}" >/dev/null; } </dev/null ||
    die "cannot install ${packages[*]}"
}

# skeleton ROOT: folders, users, names and something to serve.
skeleton() {
  local root=$1
  mkdir -p "$root"/{etc,usr/bin,usr/lib,usr/lib64,usr/local/bin,var/log,www,root,home/app,tmp,proc,sys,dev,run}
  ln -s usr/bin "$root/bin"; ln -s usr/bin "$root/sbin"
  ln -s usr/lib "$root/lib"; ln -s usr/lib64 "$root/lib64"
  chmod 1777 "$root/tmp" "$root/home/app"
  printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n' > "$root/etc/passwd"
  printf 'root:x:0:\napp:x:1000:\n' > "$root/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
  printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
  printf '{"status":"ok","queue":3}\n' > "$root/www/health"
  printf 'it works\n' > "$root/www/index.html"
}

# programs ROOT NAME…: the machine's programs of these names, with the libraries they load.
programs() {
  local root=$1 name path paths=()
  shift
  for name in "$@"; do
    path=$(type -P "$name") || die "this machine has no $name"
    cp -L "$path" "$root/usr/bin/$name"
    paths+=("$path")
  done
  libraries "$root" "${paths[@]}"
}

# libraries ROOT PROGRAM…: a static program has none, which ldd answers with an error.
libraries() {
  local root=$1 library
  shift
  { ldd "$@" 2>/dev/null | grep -oE '/[^ ()]+\.so[^ ()]*' || true; } | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}

httpd() {
  cp -L "$(type -P busybox)" "$1/usr/local/bin/busybox"
  ln -s busybox "$1/usr/local/bin/httpd"
  libraries "$1" "$(type -P busybox)"
}

build_debian() {
  skeleton "$1"
  programs "$1" bash dash timeout curl "${coreutils[@]}" "${more[@]}"
  ln -s dash "$1/usr/bin/sh"
  httpd "$1"
}

build_dash() {
  skeleton "$1"
  programs "$1" dash "${coreutils[@]}" "${more[@]}"
  if type -P wget >/dev/null; then programs "$1" wget; fi
  ln -s dash "$1/usr/bin/sh"
  httpd "$1"
}

build_busybox() {
  skeleton "$1"
  programs "$1" busybox
  local applet
  busybox --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$1/usr/bin/$applet"
  done
}

build_noshell() {
  skeleton "$1"
  cp -L "$(type -P busybox)" "$1/httpd"
  libraries "$1" "$(type -P busybox)"
}

# command_of IMAGE: what it runs unless told otherwise.
command_of() {
  case $1 in
    noshell) echo '["/httpd", "-f", "-p", "8080", "-h", "/www"]' ;;
    *) echo '["sleep", "86400"]' ;;
  esac
}

recipe() {
  { cat "$here/test-images.sh"; sha256sum < "$(type -P busybox)"; cat /etc/os-release 2>/dev/null; type -P wget || true; } |
    sha256sum | cut -c 1-16
}

# The recipe that all of them were built by; empty where one is missing.
built() {
  local labels
  labels=$("$engine" image inspect --format '{{index .Config.Labels "recovery.test.recipe"}}' \
    "${images[@]/#/$names/}" 2>/dev/null) || return 0
  sort -u <<< "$labels"
}

main() {
  exec 9> "${TMPDIR:-/tmp}/recovery-test-images.$(id -u).lock"
  flock 9
  install_missing
  local recipe work image
  recipe=$(recipe)
  if [ "${1:-}" != --force ] && [ "$(built)" = "$recipe" ]; then return; fi
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder's name is wanted now
  trap "rm -rf '$work'" EXIT
  for image in "${images[@]}"; do
    mkdir "$work/$image"
    "build_$image" "$work/$image"
    tar -C "$work/$image" --owner=0 --group=0 -c . | "$engine" import \
      --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
      --change "LABEL recovery.test.recipe=$recipe" \
      --change "CMD $(command_of "$image")" \
      - "$names/$image:latest" 9>&- >/dev/null
    echo "built $names/$image" >&2
  done
}

main "$@"
