#!/bin/sh
set -eu
cd /tmp/gpg
cmp plain again
test "$(cat verdict)" = refused
test ! -s wrong
