#!/bin/sh
# Every test of redis-benchmark, a thousand requests each; five of the rates are asked for.
report=$(redis-benchmark -h 127.0.0.1 -p 16379 -n 1000 -q 2>&1 | tr '\r' '\n')
echo "$report"
rates=$(echo "$report" |
    grep -Ec '^(SET|GET|LPUSH|SPOP|MSET \(10 keys\)): [0-9.]+ requests per second')
test "$rates" -ge 5
