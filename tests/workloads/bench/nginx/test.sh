#!/bin/sh
# A second of wrk; that it names a transfer rate of megabytes or more is all that is asked.
report=$(wrk --duration 1s http://127.0.0.1:18080/index.html)
echo "$report"
echo "$report" | grep -Eq '^Transfer/sec: +[0-9.]+[MG]B$'
