#!/bin/sh
set -eu
rm -rf /tmp/bzip2 && mkdir /tmp/bzip2 && cd /tmp/bzip2
seq 1 40000 > plain
bzip2 --keep plain
bzip2 --decompress --stdout plain.* > again
bzip2 --test plain.* && echo whole > verdict
head -c 5000 plain.* > broken
bzip2 --decompress --stdout < broken > part 2> /dev/null || echo refused >> verdict
