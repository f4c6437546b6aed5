#!/bin/sh
# The second frontend only answers what came through the first.
set -eu
test "$(curl -sS --max-time 5 http://127.0.0.1:8081/one http://127.0.0.1:8081/two)" = "path /one
path /two"
test "$(curl -sS --max-time 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:8082/)" = 403
