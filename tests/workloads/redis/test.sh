#!/bin/sh
# Every command must give the known answer, what was saved must be on disk, and redis-benchmark
# must get through without an error.
set -eu
redis-cli -h 127.0.0.1 < commands > /tmp/answers
diff expected /tmp/answers
test "$(head -c 5 /tmp/dump.rdb)" = REDIS

redis-benchmark -h 127.0.0.1 -c 10 -n 500 -q -t set,get,lpush,mset > /tmp/benchmark
# One rate for each of the four; an error would have ended it.
test "$(tr '\r' '\n' < /tmp/benchmark | grep -c 'requests per second')" -eq 4
