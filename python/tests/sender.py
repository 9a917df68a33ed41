"""A sender that is under test: it asks a resolver for the exchangers and tries one after the other.

Its resolver is a few lines, so that these tests need the standard library alone.
"""

from __future__ import annotations

import random
import smtplib
import socket
import struct
from email.message import EmailMessage

A, MX = 1, 15


def lookup(resolver, name, record_type):
    """The records of one type: (preference, name) for MX, addresses for A."""
    number = random.randrange(1 << 16)
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", record_type, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.sendto(query, resolver)
        answer = udp.recv(4096)
    code = answer[3] & 15
    if code not in (0, 3):
        raise OSError(f"the lookup of {name} failed with code {code}")
    at = 12 + len(question) + 4
    found = []
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        _, at = read_name(answer, at)
        kind, _, _, length = struct.unpack("!2HIH", answer[at : at + 10])
        at += 10
        if kind == record_type == MX:
            found.append((struct.unpack("!H", answer[at : at + 2])[0], read_name(answer, at + 2)[0]))
        elif kind == record_type == A:
            found.append(socket.inet_ntoa(answer[at : at + 4]))
        at += length
    return found


def read_name(answer, at):
    """A name, and where it ends; it may go on elsewhere (RFC 1035 section 4.1.4)."""
    labels, end = [], None
    while answer[at]:
        if answer[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack("!H", answer[at : at + 2])[0] & 0x3FFF
            continue
        labels.append(answer[at + 1 : at + 1 + answer[at]].decode())
        at += 1 + answer[at]
    return ".".join(labels), end or at + 1


def send(resolver, socket_for, recipient, text="Hello\n", tries=10):
    """Sends a message by the exchangers of the recipient's domain, in the order of their preferences."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "sender@sender.test", recipient, "Grüße <b>all</b>"
    message.set_content(text)
    last = OSError("there is no exchanger")
    exchangers = sorted(lookup(resolver, recipient.rpartition("@")[2], MX), key=lambda one: (one[0], random.random()))
    for _, exchanger in exchangers[:tries]:
        for address in lookup(resolver, exchanger, A):
            host, port = socket_for(address)
            try:
                with smtplib.SMTP(host, port, local_hostname="sender.test", timeout=5) as smtp:
                    smtp.send_message(message)
                    return exchanger
            except (OSError, smtplib.SMTPException) as error:
                last = error
    raise last
