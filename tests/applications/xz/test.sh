#!/bin/sh
set -eu
cd /tmp/xz
cmp plain again
test "$(cat verdict)" = "whole
refused"
test "$(cat plain.?* | wc -c)" -lt "$(wc -c < plain)"
