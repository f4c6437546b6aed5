#!/bin/sh
set -eu
cd /tmp/strace
test "$(grep -cE 'mkdir\("(one|two)", 0777\) += 0' calls)" = 2
test -d one && test ! -e three
grep -q 'Read-only' message
grep -q 'EROFS.*INJECTED' injected
