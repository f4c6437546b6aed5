# Two connections by the text protocol: one subscribes, the other publishes.
import socket


def connection():
    link = socket.create_connection(("127.0.0.1", 4222), 5)
    lines = link.makefile("rwb")
    assert lines.readline().startswith(b"INFO ")
    lines.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
    lines.flush()
    assert lines.readline() == b"PONG\r\n"
    return lines


subscriber, publisher = connection(), connection()
subscriber.write(b"SUB wanted.* 7\r\nPING\r\n")
subscriber.flush()
assert subscriber.readline() == b"PONG\r\n"
publisher.write(b"PUB other 1\r\nx\r\n")
for number in range(100):
    text = b"message %d" % number
    publisher.write(b"PUB wanted.n %d\r\n%s\r\n" % (len(text), text))
publisher.flush()
for number in range(100):
    text = b"message %d" % number
    assert subscriber.readline() == b"MSG wanted.n 7 %d\r\n" % len(text)
    assert subscriber.readline() == text + b"\r\n"
