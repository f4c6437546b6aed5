#!/bin/sh
set -eu
rm -rf /tmp/tar && mkdir -p /tmp/tar/from/sub /tmp/tar/to && cd /tmp/tar/from
seq 1 5000 > sub/numbers
ln sub/numbers hard
ln -s sub/numbers soft
mkfifo fifo
chmod 0640 sub/numbers
truncate -s 1M sparse
touch -d @1000000000 sub
tar --create --sparse --file ../archive.tar .
tar --extract --file ../archive.tar --directory ../to
