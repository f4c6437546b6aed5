#!/bin/sh
set -eu
cd /tmp/openssl
grep -q 'certificate: OK' verified
cmp plain again
if cmp -s plain secret; then exit 1; fi
test "$(cut -d' ' -f1 digest)" = "$(sha256sum plain | cut -d' ' -f1)"
grep -qxE '[0-9a-f]{32}' random
