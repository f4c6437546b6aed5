#!/bin/sh
set -eu
cd /tmp/rsync
diff -r from to
test "$(find to/sub/numbers -printf %Ts)" = 1000000000
test "$(readlink to/link)" = sub/numbers
grep -q '^>f+++++++++ new$' changes
test "$(grep -c numbers changes)" = 0
