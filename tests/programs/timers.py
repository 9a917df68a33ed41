"""Timers with a descriptor and waits for a number in memory, each used in a way that confuses who knows them by a number
or an address. It prints which took another time than it should."""
import ctypes
import mmap
import os
import select
import socket
import struct
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
CREATE, SETTIME, GETTIME, FUTEX, GETTID = 283, 286, 287, 202, 186
WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, LOCK_PI, UNLOCK_PI, LOCK_PI2 = 0, 1, 3, 4, 5, 6, 7, 13
ETIMEDOUT, DEADLOCK = 110, 35


def takes(what, expected, work):
    begun = time.monotonic()
    found = work()
    took = time.monotonic() - begun
    if abs(took - expected) > 0.05:
        print(f"{what}: {took:.3f} s, expected {expected} s")
    return found


def equal(what, found, expected):
    if found != expected:
        print(f"{what}: {found}, expected {expected}")


def timer(after=0, every=0, clock=1, flags=0):
    made = libc.syscall(CREATE, clock, 0)
    if after:
        set_timer(made, after, every, flags)
    return made


def pair(every, after):
    split = [part for number in (every, after) for part in (int(number), int(number % 1 * 1e9))]
    return struct.pack("4q", *split)


def set_timer(number, after, every=0, flags=0):
    old = ctypes.create_string_buffer(32)
    equal("set", libc.syscall(SETTIME, number, flags, pair(every, after), old), 0)
    return left(old)


def left(room):
    every, _, after, part = struct.unpack("4q", room.raw)
    return every, round(after + part / 1e9)


def get_timer(number):
    room = ctypes.create_string_buffer(32)
    equal("get", libc.syscall(GETTIME, number, room), 0)
    return left(room)


def fires(number):
    return struct.unpack("q", os.read(number, 8))[0]


def is_still(number, seconds):
    return not select.select([number], [], [], seconds)[0]


equal("once", takes("once", 100, lambda: fires(timer(100))), 1)
every = timer(10, 20)
takes("every", 50, lambda: [fires(every) for _ in range(3)])
equal("what is left", set_timer(every, 0), (20, 20))
equal("stopped", takes("stopped", 100, lambda: is_still(every, 100)), True)
takes("of the wall clock", 30, lambda: fires(timer(time.time() + 30, clock=0, flags=1)))

# It goes on under another number, and its own is another one's.
one = timer(100)
other = os.dup(one)
os.close(one)
new = timer()
equal("the same number", new, one)
equal("a new one is not set", get_timer(new), (0, 0))
equal("the old one is", get_timer(other), (0, 100))
takes("under another number", 100, lambda: fires(other))
equal("the new one", takes("not set", 200, lambda: is_still(new, 200)), True)
set_timer(other, 50)
equal("by either number", set_timer(os.dup(other), 300), (0, 50))
takes("set again", 300, lambda: fires(other))

# It goes on in another process, which inherits it or is sent it.
one = timer(100)
if os.fork() == 0:
    takes("inherited", 100, lambda: fires(one))
    os._exit(0)
os.close(one)
takes("the child", 100, os.wait)
here, there = socket.socketpair()
if os.fork() == 0:
    _, sent, _, _ = socket.recv_fds(there, 1, 1)
    takes("sent", 70, lambda: fires(sent[0]))
    os._exit(0)
one = timer(100)
time.sleep(30)
socket.send_fds(here, [b"."], [one])
os.close(one)
takes("the other child", 70, os.wait)

# A timer that nobody has is no moment to wait for, and none is found in the set that it was in.
with select.epoll() as epoll:
    one = timer(100)
    epoll.register(one, select.EPOLLIN)
    os.close(one)
    equal("closed", takes("closed", 300, lambda: epoll.poll(300)), [])

# Numbers in memory.
memory = mmap.mmap(-1, 4096)
view = (ctypes.c_uint32 * 8).from_buffer(memory)
base = ctypes.addressof(view)
private = 128


def futex(place, operation, value=0, more=None, other=0, last=0):
    ctypes.set_errno(0)
    at = ctypes.c_void_p(base + 4 * place)
    to = ctypes.c_void_p(base + 4 * other)
    if isinstance(more, (float, tuple)):
        seconds, nanos = more if isinstance(more, tuple) else (int(more), 0)
        more = ctypes.byref((ctypes.c_int64 * 2)(seconds, nanos))
    found = libc.syscall(FUTEX, at, operation | private, value, more, to, last)
    return ctypes.get_errno() if found < 0 else 0


def beside(work, after):
    thread = threading.Thread(target=lambda: (time.sleep(after), work()))
    thread.start()
    return thread


def tid():
    return libc.syscall(GETTID)


equal("nobody wakes", takes("nobody wakes", 60, lambda: futex(0, WAIT, 0, 60.0)), ETIMEDOUT)
for what, operation, more, wake in (
    ("requeued", REQUEUE, 8, True),
    ("requeued and not woken", REQUEUE, 8, False),
    ("requeued if equal", CMP_REQUEUE, 8, True),
):
    beside(lambda: futex(0, operation, 0, ctypes.c_void_p(more), 1), 10)
    # The number where they waited is no matter any more.
    change = beside(lambda: view.__setitem__(0, 0 if not wake else 7), 15)
    if wake:
        beside(lambda: futex(1, WAKE, 1), 20)
    found = takes(what, 20 if wake else 60, lambda: futex(0, WAIT, 0, 60.0))
    equal(what, found, 0 if wake else ETIMEDOUT)
    change.join()
    view[0] = 0
beside(lambda: futex(0, CMP_REQUEUE, 1, ctypes.c_void_p(8), 1, 5), 10)
equal("not equal", takes("not equal", 60, lambda: futex(0, WAIT, 0, 60.0)), ETIMEDOUT)
# Sets the other number to 1, and wakes there if it was 0.
beside(lambda: futex(2, WAKE_OP, 1, ctypes.c_void_p(1), 3, 1 << 12), 10)


def changes():
    # Whoever waits may be woken in vain, and waits again.
    while view[3] == 0:
        if futex(3, WAIT, 0, 60.0) == ETIMEDOUT:
            return print("not woken")


takes("changed and woken", 10, changes)
equal("the number", view[3], 1)

# A lock that somebody has for 40 s: who waits less long fails, who waits longer has it.
for operation, clock in ((LOCK_PI, time.time), (LOCK_PI2, time.monotonic)):
    held = threading.Event()

    def holder():
        equal("locked", futex(4, LOCK_PI), 0)
        held.set()
        time.sleep(40)
        if libc.syscall(FUTEX, ctypes.c_void_p(base + 16), UNLOCK_PI | private, 0, None, None, 0):
            print("not unlocked")

    thread = threading.Thread(target=holder)
    thread.start()
    held.wait()
    until = lambda seconds: (int(clock() + seconds), int((clock() + seconds) % 1 * 1e9))
    equal("too early", takes("too early", 10, lambda: futex(4, operation, 0, until(10))), ETIMEDOUT)
    equal("in time", takes("in time", 30, lambda: futex(4, operation, 0, until(1000))), 0)
    equal("ours", view[4] & 0x3FFF_FFFF, tid())
    equal("twice", futex(4, operation, 0, until(1000)), DEADLOCK)
    futex(4, UNLOCK_PI)
    thread.join()
print("done")
