#!/usr/bin/env bash
# Build the image for real and run smoke in it: as uid 1000, on a read-only root, without a network, its work folder
# mounted. Needs root, debootstrap and buildah, and no Docker daemon:
#
#   apt-get install buildah debootstrap && docker/check.sh [FOLDER]
#
# FOLDER (default: /var/tmp/depthjax-check) keeps the base and the log. The builder takes pip's configuration and the
# certificates of this machine as mounts, so that neither gets into the image.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-/var/tmp/depthjax-check}
mkdir -p "$folder"
exec > >(tee "$folder/log") 2>&1
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

say "base: debootstrap, with the packages of this machine's own mirror"
mirror=${MIRROR:-$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1 || true)}
[ -n "$mirror" ] || { say "no Debian mirror in /etc/apt: name one, MIRROR=https://HOST/debian docker/check.sh"; exit 2; }
if [ ! -e "$folder/base/usr/bin/python3" ]; then
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,tini \
    bookworm "$folder/base" "$mirror"
  # Published base images come without what apt has fetched.
  rm -rf "$folder"/base/var/cache/apt/* "$folder"/base/var/lib/apt/lists/*
fi
if ! buildah inspect --type image depthjax-base >/dev/null 2>&1; then
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$folder/base" /
  buildah commit --quiet --rm "$container" depthjax-base
fi

mounts=()
add() { if [ -e "$1" ]; then mounts+=(-v "$1:$2:ro"); fi; }
add /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
add /etc/apt/sources.list /etc/apt/sources.list
add /etc/apt/sources.list.d /etc/apt/sources.list.d
add /etc/apt/apt.conf.d /etc/apt/apt.conf.d
add /etc/pip.conf /etc/pip.conf
index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
printf 'native-tls = true\n%s\n' "${index:+index-url = \"$index\"}" > "$folder/uv.toml"
add "$folder/uv.toml" /etc/uv/uv.toml

say "build"
buildah bud --layers --quiet "${mounts[@]}" --build-arg BASE=localhost/depthjax-base --build-arg ACCELERATOR=cpu \
  --build-arg REVISION="$(git rev-parse HEAD)" -f docker/Dockerfile -t depthjax-check .
container=$(buildah from depthjax-check)
root=$(buildah mount "$container")
trap 'buildah umount "$container" >/dev/null; buildah rm "$container" >/dev/null' EXIT
say "size: $(du -sm --exclude=proc "$root" | cut -f1) MB, of which the base $(du -sm "$folder/base" | cut -f1) MB"

say "smoke: uid 1000, read-only root, no network"
rm -rf "$folder/runs" && install -d -o 1000 -g 1000 "$folder/runs" "$folder/cache"
mapfile -t environment < <(buildah inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' depthjax-check | sed '/^$/d')
start=$SECONDS
unshare --net --mount --pid --fork bash -euc '
  root=$1 runs=$2 cache=$3; shift 3
  mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
  mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /sys "$root/sys" && mount -t tmpfs tmpfs "$root/tmp"
  mount --bind "$runs" "$root/app/runs" && mount --bind "$cache" "$root/cache"
  chroot --userspec=1000:1000 "$root" env -i "$@" HOME=/home/depthjax sh -euc "
    cd /app; test \"\$(id -u)\" = 1000
    if touch /app/x 2>/dev/null; then echo the root can be written; exit 1; fi
    if python -c \"import socket; socket.create_connection((\\\"1.1.1.1\\\", 53), 2)\" 2>/dev/null; then echo there is a network; exit 1; fi
    exec tini -- python launch.py --config configs/smoke.py"
' bash "$root" "$folder/runs" "$folder/cache" "${environment[@]}"
test -s "$folder/runs/smoke/report.html"
say "smoke ran in $((SECONDS - start)) s; report of $(stat -c %s "$folder/runs/smoke/report.html") bytes, of uid $(stat -c %u "$folder/runs/smoke/report.html")"
