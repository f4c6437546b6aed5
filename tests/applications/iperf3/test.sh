#!/bin/sh
# The client asks the server how much it got.
set -eu
iperf3 --client 127.0.0.1 --port 5201 --bytes 10M --json > /tmp/iperf3.json
test "$(jq '.end.sum_sent.bytes >= 10485760 and .end.sum_received.bytes > 1000000 and (.error == null)' /tmp/iperf3.json)" = true
