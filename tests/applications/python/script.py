import asyncio
import mmap
import os
import signal
import subprocess
import sys
import threading

out = open(sys.argv[1], "w")

lock, total = threading.Lock(), [0]


def count(of):
    for number in of:
        with lock:
            total[0] += number


threads = [threading.Thread(target=count, args=(range(i, 1000, 4),)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", total[0], file=out)


async def talk():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(word):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(word.encode() + b"\n")
        got = (await reader.readline()).decode().strip()
        writer.close()
        return got

    print("asyncio", *await asyncio.gather(*map(ask, ["one", "two", "three"])), file=out)
    server.close()


asyncio.run(talk())

shared = mmap.mmap(-1, 4096)
out.flush()
child = os.fork()
if child == 0:
    shared[:5] = b"child"
    os._exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print("fork", status, shared[:5].decode(), file=out)

rung = threading.Event()
signal.signal(signal.SIGALRM, lambda *_: rung.set())
signal.setitimer(signal.ITIMER_REAL, 0.01)
print("timer", rung.wait(5), file=out)
print("child", subprocess.run(["tr", "a-z", "A-Z"], input="text", text=True, capture_output=True).stdout, file=out)
out.close()
