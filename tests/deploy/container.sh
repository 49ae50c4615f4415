#!/bin/sh
# Builds the container file as it stands, without a registry: `debian:12-slim` is made with debootstrap from Debian's mirror.
# usage: container.sh CHECKOUT STORE      Leaves the images in STORE, and makes none of the machine's own.
# pip is given this machine's own settings, and the places that they name, as a user's CI would.
set -eu
checkout=$1 store=$2
own="--root $store/root --runroot $store/run --storage-driver vfs"
debootstrap --variant=minbase --include=ca-certificates bookworm "$store/base" >"$store/debootstrap.log"
tar -C "$store/base" -c . | podman $own import - docker.io/library/debian:12-slim
given="-v /etc/ssl/certs:/etc/ssl/certs:ro"
for place in /etc/pip.conf $(python3 -m pip config list 2>/dev/null | tr " '" '\n\n' | sed -n 's|^\(file://\)\{0,1\}\(/[^/]*\)/.*|\2|p' | sort -u); do
    case "$place" in /etc) ;; *) [ ! -e "$place" ] || given="$given -v $place:$place:ro" ;; esac
done
cd "$checkout"
buildah $own bud --format docker --isolation chroot --network host --pull=never $given -f deploy/container/Containerfile -t lbctl .
