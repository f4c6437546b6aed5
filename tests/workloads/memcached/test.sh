#!/bin/bash
# Conversations on several connections at once, the last with a value larger than a socket's
# buffer; every byte of every answer is checked.
set -eu
mkdir -p /tmp/talk && cd /tmp/talk

# Adds a command to a conversation, and the lines that must answer it.
say() {
    printf '%s\r\n' "$2" >> "$1.sent"
    printf '%s\r\n' "${@:3}" >> "$1.wanted"
}

for connection in 1 2 3 4; do
    for ((i = 0; i < 50; i++)); do
        key="key-$connection-$i" value="value $i of $connection"
        say $connection "set $key 7 0 ${#value}"$'\r\n'"$value" STORED
        say $connection "get $key" "VALUE $key 7 ${#value}" "$value" END
    done
    say $connection "add key-$connection-1 0 0 1"$'\r\n'x NOT_STORED
    say $connection "set number$connection 0 0 2"$'\r\n'41 STORED
    say $connection "incr number$connection 1" 42
    say $connection "delete number$connection" DELETED
    say $connection "get number$connection" END
    say $connection nonsense ERROR
done
large=$(head -c 500000 /dev/zero | tr '\0' x)
say 4 "set large 0 0 ${#large}"$'\r\n'"$large" STORED
say 4 "get large" "VALUE large 0 ${#large}" "$large" END

# All four talk at the same time; `quit` makes the server close, which ends the reading.
readers=()
for connection in 1 2 3 4; do
    exec {socket}<> /dev/tcp/127.0.0.1/11211
    cat <&$socket > $connection.got &
    readers+=($!)
    { cat $connection.sent && printf 'quit\r\n'; } >&$socket
    exec {socket}>&-
done
wait "${readers[@]}"
for connection in 1 2 3 4; do
    cmp $connection.got $connection.wanted
done
