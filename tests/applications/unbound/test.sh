#!/bin/sh
set -eu
test "$(dig +short +tries=1 +time=2 -p 5354 @127.0.0.1 a.example)" = 192.0.2.9
test "$(dig +short +tcp +tries=1 +time=2 -p 5354 @127.0.0.1 a.example)" = 192.0.2.9
dig +tries=1 +time=2 -p 5354 @127.0.0.1 b.other | grep -q 'status: REFUSED'
