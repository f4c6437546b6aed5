#!/bin/sh
set -eu
test "$(wc -c < /tmp/fallocate)" = 131072
test "$(tr -d '\0' < /tmp/fallocate | wc -c)" = 32768
test "$(head -c 49152 /tmp/fallocate | tail -c 32768 | tr -d '\0' | wc -c)" = 0
