#!/usr/bin/env bash
# Builds recovery-test/systemd, in which this machine's systemd is the first process, for the tests of
# contrib/systemd-timer:
#
#   scripts/systemd-image.sh PROGRAM
#
# In it: systemd, systemctl, the docker client, a few tools, the shipped units, and the libraries of PROGRAM, which is
# to be mounted as /usr/local/bin/recovery. A container of it needs CAP_SYS_ADMIN, a cgroup namespace of its own and
# tmpfs on /run, and no --privileged. Quick where it is there already: it carries the checksum of its recipe as a label.
set -Eeuo pipefail
# Nothing ends without a word: set -e alone is silent.
trap 'echo "systemd-image: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
umask 022

here=$(cd "$(dirname "$0")" && pwd)
units=$here/../contrib/systemd-timer
program=$1
image=recovery-test/systemd
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

exec 9> "${TMPDIR:-/tmp}/recovery-systemd-image.$(id -u).lock"
flock 9
recipe=$({ cat "$0" "$units"/*; systemctl --version; ldd "$program" | sed 's/ (.*//'; } | sha256sum | cut -c 1-16)
built=$(docker image inspect --format '{{index .Config.Labels "recovery.test.recipe"}}' "$image" 2> /dev/null || true)
if [ "$built" = "$recipe" ]; then exit; fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

# put FILE TARGET: a program with the libraries it loads.
put() {
  mkdir -p "$root$(dirname "$2")"
  cp -L "$1" "$root$2"
  libraries "$1"
}

# libraries FILE: a static program has none, which ldd answers with an error.
libraries() {
  local library
  { ldd "$1" 2> /dev/null | grep -oE '/[^ ()]+\.so[^ ()]*' || true; } | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}

mkdir -p "$root"/{etc/systemd/system,etc/recovery,usr/bin,usr/lib/systemd/system,usr/lib64,usr/local/bin,root,tmp,proc,sys,dev,run,var/log,var/lib}
ln -s usr/bin "$root/bin"; ln -s usr/bin "$root/sbin"; ln -s bin "$root/usr/sbin"
ln -s usr/lib "$root/lib"; ln -s usr/lib64 "$root/lib64"; ln -s /run "$root/var/run"
for name in bash dash sleep cat ls test touch pgrep wc true mount umount mkdir rm systemctl docker; do
  put "$(type -P "$name")" "/usr/bin/$name"
done
ln -s dash "$root/usr/bin/sh"
for name in systemd systemd-executor; do
  # The second is a program of its own only in newer versions.
  if [ -e "/lib/systemd/$name" ]; then put "/lib/systemd/$name" "/usr/lib/systemd/$name"; fi
done
for name in basic sysinit multi-user timers paths sockets slices shutdown local-fs network-online; do
  cp -L "/lib/systemd/system/$name.target" "$root/usr/lib/systemd/system/"
done
ln -s multi-user.target "$root/usr/lib/systemd/system/default.target"
libraries "$program"
: > "$root/usr/local/bin/recovery"
cp "$units"/recovery.{service,timer} "$root/etc/systemd/system/"
printf 'root:x:0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
# A machine that was booted before: nothing is enabled by itself.
printf '0123456789abcdef0123456789abcdef\n' > "$root/etc/machine-id"
cat > "$root/start" <<'START'
#!/bin/bash
# systemd wants a tree of control groups that it may write; this one is the container's own.
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup || exit
exec /usr/lib/systemd/systemd --log-target=console --log-level=info
START
chmod 755 "$root/start"

tar -C "$root" --owner=0 --group=0 -c . |
  docker import --change 'ENV container=docker' --change "LABEL recovery.test.recipe=$recipe" \
    --change 'CMD ["/start"]' - "$image:latest" 9>&- > /dev/null
echo "built $image" >&2
