#!/bin/sh
set -eu
test "$(tr '\n' ',' < /tmp/inotify/events)" = "CREATE one,MODIFY one,MOVED_TO two,DELETE two,"
