#!/bin/sh
set -eu
rm -rf /tmp/xz && mkdir /tmp/xz && cd /tmp/xz
seq 1 40000 > plain
xz --threads=2 --block-size=64KiB --keep plain
xz --decompress --stdout plain.* > again
xz --test plain.* && echo whole > verdict
head -c 5000 plain.* > broken
xz --decompress --stdout < broken > part 2> /dev/null || echo refused >> verdict
