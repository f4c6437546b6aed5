"""A thousand pairs of set and get on one connection, every value checked."""

import socket

connection = socket.create_connection(("127.0.0.1", 21211), timeout=3)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
lines = connection.makefile("rb")


def ask(command, *answer):
    connection.sendall(command)
    for wanted in answer:
        got = lines.readline()
        assert got == wanted, f"{got!r} instead of {wanted!r}"


for number in range(1000):
    value = b"v%d" % number
    ask(b"set k%d 0 0 %d\r\n%s\r\n" % (number, len(value), value), b"STORED\r\n")
    ask(
        b"get k%d\r\n" % number,
        b"VALUE k%d 0 %d\r\n" % (number, len(value)),
        value + b"\r\n",
        b"END\r\n",
    )
