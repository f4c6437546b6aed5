# Gives back what it was sent.
printf 'Content-Type: text/plain\r\n\r\n'
printf '%s %s\n' "$REQUEST_METHOD" "$QUERY_STRING"
exec cat
