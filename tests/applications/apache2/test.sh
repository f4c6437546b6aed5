#!/bin/sh
set -eu
server=http://127.0.0.1:8080
curl -sS --max-time 5 $server/ | cmp - html/index.txt
test "$(curl -sS --max-time 5 --range 10-19 $server/index.txt)" = "6
7
8
9
10"
test "$(curl -sS --max-time 5 -o /dev/null -w '%{http_code}' $server/absent)" = 404
curl -sS --max-time 5 --parallel $server/ $server/ $server/ $server/ > /tmp/apache2.four
test "$(wc -l < /tmp/apache2.four)" = 8000
