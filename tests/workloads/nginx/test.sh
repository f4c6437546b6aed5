#!/bin/sh
# What it must do: right bodies, types and statuses, also of a file larger than a socket's
# buffer, of a part, of nothing; then five hundred requests on fifty connections that stay
# open, of which none may fail.
set -eu
server=http://127.0.0.1:8080
limit="--max-time 10"

mkdir -p /tmp/www/made /tmp/got
seq 1 100000 > /tmp/www/made/large.txt

curl --silent --show-error $limit --write-out '%{http_code} %{size_download} %{content_type}\n' \
    $server/ --output /tmp/got/index.html \
    --next $limit -sS -w '%{http_code} %{size_download} %{content_type}\n' \
    $server/made/large.txt --output /tmp/got/large.txt \
    --next $limit -sS -w '%{http_code} %{size_download} %{content_type}\n' \
    --range 10-19 $server/made/large.txt --output /tmp/got/part.txt \
    --next $limit -sS -w '%{http_code}\n' \
    $server/absent --output /dev/null > /tmp/got/statuses

cmp /tmp/got/index.html html/index.html
cmp /tmp/got/large.txt /tmp/www/made/large.txt
printf '6\n7\n8\n9\n10' | cmp - /tmp/got/part.txt
cmp /tmp/got/statuses - << END
200 $(wc -c < html/index.html) text/html
200 $(wc -c < /tmp/www/made/large.txt) text/plain
206 10 text/plain
404
END

# The script ends wrk itself once enough responses have been checked.
exec wrk --threads 1 --connections 50 --duration 10s --script check.lua $server/
