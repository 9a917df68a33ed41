"""Connections that nobody answers, made in each way: it prints which of them do not fail when the kernel would give them
up. Then ones that are answered, which must not fail."""
import asyncio
import errno
import select
import socket
import time

FASTOPEN, SYNCNT = 0x2000_0000, 7


def setting(name):
    try:
        with open(f"/proc/sys/net/ipv4/{name}") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


LINEAR = setting("tcp_syn_linear_timeouts")
LIMIT = LINEAR + 2 ** (setting("tcp_syn_retries") + 1) - 1
dead, alive = (socket.gethostbyname(f"{host}.example.test") for host in ("mx1", "mx2"))


def fails(what, work, limit=LIMIT):
    begun = time.monotonic()
    try:
        found = work()
    except OSError as error:
        found = error.errno
    took = time.monotonic() - begun
    if found != errno.ETIMEDOUT or abs(took - limit) > 0.05:
        print(f"{what}: {found} after {took:.3f} s, expected {limit} s")


def made(blocking, count=None):
    made = socket.socket()
    made.setblocking(blocking)
    if count:
        made.setsockopt(socket.IPPROTO_TCP, SYNCNT, count)
    return made


def waited_for(one, begin, wait):
    try:
        begin(one)
    except BlockingIOError:
        pass
    wait(one)
    return one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def polled(one):
    poll = select.poll()
    poll.register(one, select.POLLOUT)
    while not poll.poll(50_000):
        pass


def watched(one):
    with select.epoll() as epoll:
        epoll.register(one, select.EPOLLOUT)
        epoll.poll()


def connect(one):
    one.connect((dead, 25))


def send(one):
    return one.sendto(b"EHLO a.test\r\n", FASTOPEN, (dead, 25))


fails("blocking", lambda: made(True).connect((dead, 25)))
fails("blocking, twice repeated", lambda: made(True, 2).connect((dead, 25)), LINEAR + 7)
fails("blocking, with data", lambda: send(made(True)))
fails("polled", lambda: waited_for(made(False), connect, polled))
fails("watched", lambda: waited_for(made(False), connect, watched))
fails("twice repeated", lambda: waited_for(made(False, 2), connect, polled), LINEAR + 7)
fails("with data", lambda: waited_for(made(False), send, polled))
fails("asyncio", lambda: asyncio.run(asyncio.open_connection(dead, 25)))


def elsewhere():
    """The socket goes on under another number."""
    one = made(False)
    one.connect_ex((dead, 25))
    other = one.dup()
    one.close()
    polled(other)
    return other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


fails("under another number", elsewhere)



def reply(lines):
    """The last line of a reply."""
    while (line := lines.readline())[3:4] == b"-":
        pass
    return line[:4]


# One that its owner gives up first; what has its number then is not touched. Nor is time moved for it.
one = made(False)
one.connect_ex((dead, 25))
time.sleep(10)
one.close()
for way in ("blocking", "not blocking", "with data"):
    with made(way != "not blocking") as one:
        if way == "with data":
            assert one.sendto(b"EHLO a.test\r\n", FASTOPEN, (alive, 25)) == 13
        else:
            one.connect_ex((alive, 25))
        one.setblocking(True)
        lines = one.makefile("rb")
        replies = [reply(lines)]
        if way == "with data":
            replies.append(reply(lines))
        time.sleep(200)
        one.sendall(b"NOOP\r\n")
        replies.append(reply(lines))
        if replies != [b"220 "] + [b"250 "] * (len(replies) - 1):
            print(f"{way}: {replies}")
print("done")
