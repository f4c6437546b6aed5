#!/bin/sh
set -eu
mosquitto_pub -h 127.0.0.1 -t room/one -m 21 -r -q 1
mosquitto_pub -h 127.0.0.1 -t room/two -m 22 -r -q 2
test "$(mosquitto_sub -h 127.0.0.1 -t 'room/+' -C 2 -W 5 -F '%t %p' | sort)" = "room/one 21
room/two 22"
