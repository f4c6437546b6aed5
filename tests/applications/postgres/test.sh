#!/bin/sh
set -eu
psql -h /tmp/loupe-pg -d postgres -Atq -v ON_ERROR_STOP=1 -f script.sql > /tmp/loupe-pg/answers
cmp expected /tmp/loupe-pg/answers
