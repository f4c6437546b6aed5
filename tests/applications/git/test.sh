#!/bin/sh
set -eu
cd /tmp/git/copy
test "$(git log --format=%s | sort | tr '\n' ' ')" = "merged one three two "
test "$(sed -n '1p;$p' file)" = "first
twenty"
test -z "$(git status --porcelain)"
