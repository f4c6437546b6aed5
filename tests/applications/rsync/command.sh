#!/bin/sh
set -eu
rm -rf /tmp/rsync && mkdir -p /tmp/rsync/from/sub && cd /tmp/rsync
seq 1 3000 > from/sub/numbers
ln -s sub/numbers from/link
touch -d @1000000000 from/sub/numbers
rsync --archive from/ to/
echo changed > from/new
touch -d @1000000000 from/link from/sub
rsync --archive --itemize-changes from/ to/ > changes
