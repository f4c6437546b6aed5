#!/bin/sh
set -eu
ask() { dig +short +tries=1 +time=2 -p 5353 @127.0.0.1 "$@"; }
test "$(ask a.example)" = 192.0.2.7
test "$(ask +tcp b.example)" = 192.0.2.8
test "$(ask -x 192.0.2.8)" = b.example.
test "$(ask c.example TXT)" = '"hello world"'
dig +tries=1 +time=2 -p 5353 @127.0.0.1 d.example | grep -q 'status: NXDOMAIN'
