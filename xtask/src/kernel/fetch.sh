#!/bin/sh
# fetch.sh SUITE VERSION PLACE: Debian's newest cloud kernel of VERSION (6.1) in SUITE, as
# PLACE/vmlinuz, PLACE/overlay.ko and PLACE/release. No root needed.
#
# apt verifies what it downloads, and works with lists, sources and a status of its own, so nothing
# of the host's changes. The host's mirror comes first: there may be no way to another one.
set -eu
umask 022
suite=$1 version=$2 place=$3
work=$place.fetch
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/tree" "$work/done"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
: > "$work/status"
apt() { # PROGRAM WORDS…
    program=$1
    shift
    "$program" -qq -o Dir::Etc::SourceList="$work/debian.sources" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User= -o Acquire::Retries=3 \
        -o APT::Update::Error-Mode=any -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    'Component: main' | grep -v security | head -n 1)
default=http://deb.debian.org/debian
if [ "${mirror%/}" = "$default" ]; then mirror=; fi
updated=
for source in $mirror $default; do
    printf '%s\n' 'Types: deb' "URIs: $source" "Suites: $suite" 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' > "$work/debian.sources"
    if apt apt-get update; then
        updated=yes
        break
    fi
done
[ -n "$updated" ] || { echo "no package lists of Debian's $suite could be had" >&2; exit 1; }
apt apt-cache pkgnames linux- > "$work/names"
pattern="^linux-image-$(echo "$version" | sed 's/\./\\./g')\\.[0-9].*-cloud-amd64\$"
image=$(grep "$pattern" "$work/names" | sort -V | tail -n 1)
[ -n "$image" ] || { echo "Debian's $suite has no cloud kernel $version" >&2; exit 1; }
release=${image#linux-image-}
# From 7.2 on, kernel and modules are packages of their own.
packages=$image
for part in binary modules; do
    if grep -qx "linux-$part-$release" "$work/names"; then packages="$packages linux-$part-$release"; fi
done
cd "$work/tree"
apt apt-get download $packages
for package in *.deb; do
    dpkg-deb --extract "$package" .
    rm "$package"
done
for kernel in boot/vmlinuz-* usr/lib/modules/*/vmlinuz; do
    if [ -f "$kernel" ]; then cp "$kernel" "$work/done/vmlinuz"; fi
done
module=$(find . -name 'overlay.ko*' | head -n 1)
case $module in
    *.xz) xz -dc "$module" ;;
    *.zst) zstd -dqc "$module" ;;
    *) cat "$module" ;;
esac > "$work/done/overlay.ko"
[ -s "$work/done/vmlinuz" ] && [ -s "$work/done/overlay.ko" ] || {
    echo "$packages hold no kernel with an overlay module" >&2
    exit 1
}
echo "$release" > "$work/done/release"
rm -rf "$place"
mv "$work/done" "$place"
