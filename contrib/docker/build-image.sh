#!/usr/bin/env bash
# Builds the sidecar image from this machine's own parts, where nothing can or shall be pulled:
#
#   cargo build --locked --release
#   contrib/docker/build-image.sh [TAG] [PROGRAM]     # recovery:local, target/release/recovery
#
# In it: the program, the docker client, a shell and sleep (busybox), the libraries these load, and the machine's
# roots of trust for https. With a registry at hand, use the Dockerfile.
set -Eeuo pipefail
# Nothing ends without a word: set -e alone is silent.
trap 'echo "build-image: line $LINENO: exit $?: $BASH_COMMAND" >&2' ERR
umask 022

here=$(cd "$(dirname "$0")" && pwd)
tag=${1:-recovery:local}
program=${2:-$here/../../target/release/recovery}
engine=${RECOVERY_ENGINE:-docker}

die() { echo "build-image: $*" >&2; exit 1; }

# put FILE NAME: a program with the libraries it loads. A static one has none, which ldd answers with an error.
put() {
  local library
  cp -L "$1" "$root/usr/local/bin/$2"
  chmod 755 "$root/usr/local/bin/$2"
  { ldd "$1" 2> /dev/null | grep -oE '/[^ ()]+\.so[^ ()]*' || true; } | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}

[ -x "$program" ] || die "no program at $program; build it first: cargo build --locked --release"
busybox=$(type -P busybox) || die "this machine has no busybox"
client=$(type -P docker) || die "this machine has no docker client"
[ "$(head -c 4 "$client" | tr -d '\0')" = $'\x7fELF' ] || die "$client is a script and not the docker client itself"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root"/{bin,usr/local/bin,usr/bin,etc/recovery,etc/ssl/certs,root,tmp,run,proc,sys,dev,var/lib/recovery,var/log}
chmod 1777 "$root/tmp"
ln -s /run "$root/var/run"
put "$program" recovery
put "$client" docker
put "$busybox" busybox
for name in sh sleep cat ls ps; do ln -s /usr/local/bin/busybox "$root/bin/$name"; done
cp "$here/passes.sh" "$root/usr/local/bin/passes"
chmod 755 "$root/usr/local/bin/passes"
printf 'root:x:0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
else
  echo "build-image: no /etc/ssl/certs/ca-certificates.crt here: the image will trust no https server" >&2
fi

tar -C "$root" --owner=0 --group=0 -c . | "$engine" import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'VOLUME /var/lib/recovery' \
  --change 'CMD ["/usr/local/bin/passes"]' \
  - "$tag" > /dev/null
echo "built $tag"
