#!/bin/sh
set -eu
cd /tmp/zstd
cmp plain again
test "$(cat verdict)" = "whole
refused"
test "$(cat plain.?* | wc -c)" -lt "$(wc -c < plain)"
