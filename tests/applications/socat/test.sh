#!/bin/sh
set -eu
for word in hello goodbye; do
    test "$(echo $word | timeout 5 socat -t 2 - TCP:127.0.0.1:7777 | head -1)" = "$(echo $word | rev)"
done
