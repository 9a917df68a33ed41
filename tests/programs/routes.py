"""A sender that makes one pass over the exchangers of a domain, by the book, or with a fault: routes.py RECIPIENT [FAULT].

With tests/senders in PYTHONPATH, for what it shares with the small senders.
"""

import random
import socket
import struct
import sys

sys.dont_write_bytecode = True
from lib import NS, S, T, enc, parse


class Failed(Exception):
    """A lookup that says nothing."""


class Refused(Exception):
    """A permanent reply in a transaction."""


def received(s, length):
    octets = b""
    while len(octets) < length:
        more = s.recv(length - len(octets))
        if not more:
            raise OSError("closed")
        octets += more
    return octets


def answer(query, tcp):
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(10)
        s.connect((NS, 53))
        s.sendall(struct.pack("!H", len(query)) * tcp + query)
        while True:
            reply = received(s, struct.unpack("!H", received(s, 2))[0]) if tcp else s.recv(65535)
            # Another id is somebody else's answer.
            if reply[:2] == query[:2]:
                return reply


def ask(name, kind):
    """The records of a type, at the end of any alias; None if there is no such name."""
    number = random.randrange(65536)
    query = struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + enc(name) + struct.pack("!HH", T[kind], 1)
    try:
        code, truncated, records = parse(answer(query, tcp=False))
        if truncated:
            code, _, records = parse(answer(query, tcp=True))
    except OSError as error:
        raise Failed(f"{name} {kind}: {error}")
    if code not in (0, 3):
        raise Failed(f"{name} {kind}: code {code}")
    return None if code == 3 else [value for _, found, value in records if found == T[kind]]


def exchangers(domain, fault):
    records = ask(domain, "MX")
    if records is None:
        sys.exit("there is no such domain")
    if not records:
        return [] if fault == "no-implicit" else [domain]
    random.shuffle(records)
    hosts = [host for _, host in sorted(records, key=lambda record: record[0])]
    if hosts == [""]:
        sys.exit("it takes no mail")
    if fault == "worst-first":
        hosts.reverse()
    return hosts[:1] if fault == "first-only" else hosts


def say(session, command, good):
    code = session.cmd(command)
    if code >= 500:
        session.quit()
        raise Refused(f"{command}: {code}")
    if code // 100 != good:
        session.leave(f"{command}: {code}")


def post(address, to):
    session = S(address, timeout=300, ehlo=False)
    if session.cmd("EHLO client.test") // 100 != 2:
        session.leave("EHLO was refused")
    say(session, "MAIL FROM:<sender@sender.test>", 2)
    say(session, f"RCPT TO:<{to}>", 2)
    say(session, "DATA", 3)
    say(session, f"Subject: drill\r\nTo: {to}\r\n\r\nhello\r\n.", 2)
    try:
        session.quit()
    except ValueError:
        # The message is taken, whatever comes after QUIT.
        pass


def main(to, fault=None):
    for host in exchangers(to.split("@")[1], fault):
        try:
            addresses = ask(host, "A") or []
        except Failed as failed:
            print(failed)
            continue
        for address in addresses:
            try:
                return post(address, to)
            except (OSError, ValueError) as error:
                print(f"{host}: {error}")
    sys.exit("nobody took it")


try:
    main(*sys.argv[1:])
except (Failed, Refused) as error:
    sys.exit(str(error))
