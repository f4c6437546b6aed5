#!/bin/sh
set -eu
cd /tmp/tar/to
cmp sub/numbers ../from/sub/numbers
test hard -ef sub/numbers
test "$(readlink soft)" = sub/numbers
test "$(find . -printf '%P %m %Ts %y\n' | sort)" = "$(cd ../from && find . -printf '%P %m %Ts %y\n' | sort)"
test "$(find sub -maxdepth 0 -printf '%Ts')" = 1000000000
test -p fifo
cmp sparse ../from/sparse
