#!/bin/sh
set -eu
cd /tmp/bzip2
cmp plain again
test "$(cat verdict)" = "whole
refused"
test "$(cat plain.?* | wc -c)" -lt "$(wc -c < plain)"
