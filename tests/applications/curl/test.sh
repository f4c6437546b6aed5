#!/bin/sh
set -eu
test "$(cat /tmp/curl/first)" = "/first "
test "$(cat /tmp/curl/post)" = "/post some=words"
test "$(sort /tmp/curl/two)" = "/a 
/b "
cmp /tmp/curl/file server.py
test "$(cat /tmp/curl/status)" = 22
