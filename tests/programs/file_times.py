"""The times of files, by every call and every kind of path: each as old as the days say that passed since it was written.
It prints what is not so."""
import ctypes
import os
import sys
import tempfile
import time

DAY = 86400
libc = ctypes.CDLL(None, use_errno=True)


def extended(path, flags=0, folder=-100):
    """By statx, which Python has no function for: access, birth, change, modification."""
    room = ctypes.create_string_buffer(256)
    if libc.syscall(332, folder, path.encode(), flags, 0xFFF, room) != 0:
        raise OSError(ctypes.get_errno(), path)
    seconds = lambda at: int.from_bytes(room.raw[at : at + 8], "little")
    return [seconds(at) for at in (64, 80, 96, 112)]


def hold(what, found, expected, within=1):
    if abs(found - expected) > within:
        print(f"{what}: {found}, expected {expected}")


os.chdir(tempfile.mkdtemp(dir=sys.argv[1]))
written = []
for day in range(3):
    with open(f"day{day}", "w") as file:
        file.write("x")
    written.append(time.time())
    time.sleep(DAY)
os.symlink("day1", "link")
os.mkdir("folder")
linked = time.time()
time.sleep(DAY)

here = os.getcwd()
folder = os.open(".", os.O_RDONLY)
for day, moment in enumerate(written):
    name = f"day{day}"
    hold("relative", os.stat(name).st_mtime, moment)
    hold("absolute", os.stat(f"{here}/{name}").st_mtime, moment)
    hold("from a folder", os.stat(name, dir_fd=folder).st_ctime, moment)
    hold("out of a folder", os.stat(f"folder/../{name}").st_mtime, moment)
    hold("from above", os.stat(f"../{os.path.basename(here)}/{name}").st_mtime, moment)
    with open(name) as file:
        hold("open", os.fstat(file.fileno()).st_mtime, moment)
        for at in extended("", 0x1000, file.fileno())[2:]:
            hold("statx of what is open", at, moment)
    for at in extended(name)[1:]:
        hold("statx", at, moment)
    if os.stat(name).st_mtime_ns != os.stat(name).st_mtime_ns:
        print("it changes")
hold("a link", os.lstat("link").st_mtime, linked)
hold("through a link", os.stat("link").st_mtime, written[1])
hold("a fresh file", os.stat(os.open("fresh", os.O_CREAT | os.O_RDWR)).st_mtime, time.time())

# What was set is what it was set to, the past and the future; and by the kernel it is now.
for moment in (1_000_000_000, time.time() - 100, time.time() + 100):
    os.utime("day0", (moment, moment))
    hold("set", os.stat("day0").st_mtime, moment)
os.utime("day0")
hold("touched", os.stat("day0").st_mtime, time.time())
# The same file, by a link that only its process can follow.
hold("old", os.stat("/proc/self/exe").st_mtime, os.stat(os.path.realpath("/proc/self/exe")).st_mtime, 0)

# Errors are the kernel's.
for path, expected in (("none", 2), ("day0/none", 20), ("loop", 40), ("", 2)):
    if path == "loop":
        os.symlink("loop", "loop")
    for ask in (os.stat, extended):
        try:
            ask(path)
            print("no error", path)
        except OSError as error:
            hold(f"error of {path}", error.errno, expected, 0)
for ask, expected in ((lambda: os.fstat(999), 9), (lambda: extended("day0", 0x4000_0000), 22)):
    try:
        ask()
        print("no error")
    except OSError as error:
        hold("error", error.errno, expected, 0)

# Another root, in which paths and links begin elsewhere; what nobody may search.
os.mkdir("root")
os.mkdir("root/secret", 0o700)
for name in ("root/day2", "root/secret/file"):
    open(name, "w").close()
os.symlink("/day2", "root/absolute")
moment = time.time()
time.sleep(DAY)
open("day2", "w").close()
has_users = int(open("/proc/self/uid_map").read().split()[2]) > 12345
if os.fork() == 0:
    try:
        os.chroot("root")
        for path in ("/day2", "/absolute", "/../day2", "day2"):
            os.chdir("/")
            hold(f"in another root: {path}", os.stat(path).st_mtime, moment, 1)
        if has_users:
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            hold("as another user", os.stat("/day2").st_mtime, moment, 1)
            try:
                os.stat("secret/file")
                print("what may not be searched is")
            except PermissionError:
                pass
    finally:
        os._exit(0)
os.wait()
print("done")
