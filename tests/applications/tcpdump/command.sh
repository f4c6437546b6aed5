#!/bin/sh
set -eu
rm -rf /tmp/tcpdump && mkdir /tmp/tcpdump && cd /tmp/tcpdump
timeout 5 tcpdump -Z root -n -l --immediate-mode -c 1 -i lo udp port 9999 > seen 2> messages &
until grep -q listening messages; do kill -0 $! && sleep 0.01; done
echo text | socat - UDP-SENDTO:127.0.0.1:9999
wait $!
