#!/bin/sh
set -eu
rm -rf /tmp/inotify && mkdir -p /tmp/inotify/seen && cd /tmp/inotify
inotifywait --monitor --event create,modify,moved_to,delete --format '%e %f' --outfile events \
    --timeout 10 seen 2> messages &
until grep -q established messages; do sleep 0.01; done
echo text > seen/one
mv seen/one seen/two
rm seen/two
until grep -q DELETE events; do kill -0 $! && sleep 0.01; done
kill $!
