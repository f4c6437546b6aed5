#!/bin/sh
set -eu
rm -rf /tmp/zstd && mkdir /tmp/zstd && cd /tmp/zstd
seq 1 40000 > plain
zstd -q -T2 --keep plain
zstd --decompress --stdout plain.* > again
zstd -q --test plain.* && echo whole > verdict
head -c 5000 plain.* > broken
zstd --decompress --stdout < broken > part 2> /dev/null || echo refused >> verdict
