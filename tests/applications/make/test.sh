#!/bin/sh
set -eu
cd /tmp/make
test "$(tr -d '\n' < whole)" = ABCD
test "$(sort first | tr '\n' ' ')" = "joined made a.part made b.part made c.part made d.part "
test "$(tr '\n' ' ' < second)" = "made c.part joined "
