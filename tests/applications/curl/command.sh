#!/bin/sh
set -eu
rm -rf /tmp/curl && mkdir /tmp/curl
python3 server.py &
server=$!
trap 'kill $server' EXIT
curl -sS --retry 20 --retry-connrefused --retry-delay 1 --max-time 5 http://127.0.0.1:8090/first > /tmp/curl/first
curl -sS --max-time 5 -d 'some=words' http://127.0.0.1:8090/post > /tmp/curl/post
curl -sS --max-time 5 --parallel http://127.0.0.1:8090/a http://127.0.0.1:8090/b > /tmp/curl/two
curl -sS "file://$PWD/server.py" -o /tmp/curl/file
curl -sS --fail --max-time 5 http://127.0.0.1:8090/absent 2> /dev/null || echo $? > /tmp/curl/status
