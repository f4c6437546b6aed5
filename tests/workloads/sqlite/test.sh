#!/bin/sh
# The script's answers were right, and the file that it left is a sound database with the right
# rows in it, as another sqlite3 sees it.
set -eu
diff expected /tmp/answers
sqlite3 -readonly /tmp/shop.db '
    PRAGMA integrity_check;
    SELECT count(*), sum(amount) FROM sale;
    SELECT amount FROM sale WHERE id = 107;
' > /tmp/again
diff expected-again /tmp/again
test ! -e /tmp/shop.db-wal
