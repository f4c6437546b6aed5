#!/bin/sh
set -eu
test "$(wc -c < /tmp/fio-uring.data)" = 1048576
test "$(jq -c '.jobs[0] | [.error, .write.io_bytes, .read.io_bytes]' /tmp/fio-uring.out)" = '[0,1048576,1048576]'
