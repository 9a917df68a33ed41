"""Waits as it is told: a tree of waits as JSON, one after the other or side by side, each in its own way. It prints
how long each took in all, by the clock that programs read."""
import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
import time

# Threads that wait for a signal need it blocked.
signal.signal(signal.SIGALRM, lambda *_: None)


def wait(how, seconds):
    if how == "sleep":
        time.sleep(seconds)
    elif how == "select":
        select.select([], [], [], seconds)
    elif how == "poll":
        read, write = os.pipe()
        poll = select.poll()
        poll.register(read, select.POLLIN)
        poll.poll(seconds * 1000)
        os.close(read)
        os.close(write)
    elif how == "epoll":
        read, write = os.pipe()
        with select.epoll() as epoll:
            epoll.register(read, select.EPOLLIN)
            epoll.poll(seconds)
        os.close(read)
        os.close(write)
    elif how == "futex":
        threading.Event().wait(seconds)
    elif how == "woken":
        event = threading.Event()
        threading.Thread(target=lambda: (time.sleep(seconds), event.set())).start()
        event.wait(seconds * 10)
    elif how == "alarm":
        # Rung in a process of its own, so that no other wait is broken off.
        child = os.fork()
        if child == 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            signal.pause()
            os._exit(0)
        os.waitpid(child, 0)
    elif how == "broken":
        # A wait that a signal breaks off, in its midst.
        child = os.fork()
        if child == 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            libc = ctypes.CDLL(None)
            libc.poll(None, 0, int(seconds * 10_000))
            os._exit(0)
        os.waitpid(child, 0)
    elif how == "sigwait":
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            signal.sigtimedwait([signal.SIGUSR1], seconds)
            os._exit(0)
        os.waitpid(child, 0)
    elif how == "pipe":
        read, write = os.pipe()
        if os.fork() == 0:
            time.sleep(seconds)
            os.write(write, b".")
            os._exit(0)
        os.read(read, 1)
        os.wait()
        os.close(read)
        os.close(write)
    elif how == "ready":
        # Something comes before the time is over.
        read, write = os.pipe()
        if os.fork() == 0:
            time.sleep(seconds)
            os.write(write, b".")
            os._exit(0)
        select.select([read], [], [], seconds * 10)
        os.wait()
        os.close(read)
        os.close(write)
    elif how == "socket":
        one, other = socket.socketpair()
        one.settimeout(seconds)
        try:
            one.recv(1)
        except TimeoutError:
            pass
        one.close()
        other.close()
    else:
        raise ValueError(how)


def run(tree):
    kind = tree[0]
    if kind == "after":
        for one in tree[1]:
            run(one)
    elif kind == "beside":
        children = []
        for one in tree[1]:
            child = os.fork()
            if child == 0:
                run(one)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    else:
        wait(kind, tree[1])


for tree in json.loads(sys.argv[1]):
    begun = time.monotonic(), time.time()
    run(tree)
    print("%.6f %.6f" % (time.monotonic() - begun[0], time.time() - begun[1]), flush=True)
