#!/bin/sh
# Right bodies, types and statuses of static files, parts and refusals; a CGI script gets its
# body and answers; many requests on one connection.
set -eu
server=http://127.0.0.1:8080
limit="--max-time 10"
format='%{http_code} %{content_type}\n'

mkdir -p /tmp/got
curl -sS $limit -w "$format" $server/ -o /tmp/got/index.html \
    --next -sS $limit -w "$format" $server/numbers.txt -o /tmp/got/numbers.txt \
    --next -sS $limit -w "$format" --range 10-19 $server/numbers.txt -o /tmp/got/part.txt \
    --next -sS $limit -w "$format" --data-binary @html/numbers.txt \
    "$server/echo.sh?question" -o /tmp/got/echo.txt \
    --next -sS $limit -w '%{http_code}\n' $server/absent $server/index.html~ \
    -o /dev/null -o /dev/null > /tmp/got/statuses

cmp /tmp/got/index.html html/index.html
cmp /tmp/got/numbers.txt html/numbers.txt
printf '6\n7\n8\n9\n10' | cmp - /tmp/got/part.txt
{ echo 'POST question' && cat html/numbers.txt; } | cmp - /tmp/got/echo.txt
cmp /tmp/got/statuses - << END
200 text/html
200 text/plain
206 text/plain
200 text/plain
404
403
END

# curl repeats the URL for every number, on one connection.
curl -sS $limit "$server/numbers.txt?[1-100]" | cksum > /tmp/got/many
yes "$(cat html/numbers.txt)" | head -n 200000 | cksum | cmp - /tmp/got/many
