"""A lab as tests see it: fail its exchangers, read what they took, ask what was wrong."""

from __future__ import annotations

import email
import email.policy
import ipaddress
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Iterable, Sequence

from .api import Api, ApiError

#: Seconds that :meth:`Lab.wait_for_message` waits unless it is told.
PATIENCE = 10.0


class NotSeen(AssertionError):
    """A message did not come in time; it says what was tried."""


@dataclass(frozen=True)
class Attempt:
    """One try at an exchanger: a connection, or a transaction of one."""

    host: str
    address: str
    result: str
    stage: str | None
    reply: str | None
    offered: Sequence[str]
    taken: Sequence[str]
    tls: bool
    at: float
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with what was sent."""

    claim: str
    rule: str | None
    level: str
    cites: Sequence[str]
    expected: Sequence[str]
    observed: Sequence[str]
    because: Sequence[str]

    def __str__(self) -> str:
        lines = [f"{self.claim} ({self.level})"]
        for heading in ("expected", "observed", "because"):
            lines += [f"  {heading:<9} {line}" for line in getattr(self, heading)]
        if self.cites:
            lines.append(f"  see       {', '.join(self.cites)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """What is thought of what the lab saw. ``passed`` is None if it could not be judged; ``notes`` say why."""

    passed: bool | None
    findings: Sequence[Finding]
    notes: Sequence[str]

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] + [f"note: {note}" for note in self.notes]
        return "\n".join(lines) or "nothing is wrong"


@dataclass(frozen=True)
class Message:
    """A message that an exchanger took."""

    id: int
    host: str
    address: str
    sender: str
    recipients: Sequence[str]
    subject: str | None
    tls: bool
    octets: int
    _api: Api = field(repr=False, compare=False)

    @property
    def content(self) -> bytes:
        """The message as it came, to the octet."""
        return self._api.octets(f"/v1/messages/{self.id}/eml")

    @property
    def email(self) -> EmailMessage:
        """The message as the standard library reads it."""
        message = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str | None:
        """Its text, decoded."""
        text = self._api.get(f"/v1/messages/{self.id}")["text"]
        return None if text is None else str(text)


class Fault:
    """A fault that was put up. As a context manager it ends with the block; otherwise it lasts until it is lifted,
    restored, or the test is over."""

    def __init__(self, api: Api, told: dict[str, Any]) -> None:
        self._api = api
        self.id: int = told["id"]
        self.text: str = told["text"]

    def lift(self) -> None:
        """Ends it. One that is gone already, as after :meth:`Lab.restore`, is no mistake."""
        try:
            self._api.delete(f"/v1/faults/{self.id}")
        except ApiError as error:
            if error.status != 404:
                raise

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()

    def __repr__(self) -> str:
        return f"<Fault {self.id}: {self.text}>"


class Lab:
    """A name server and the exchangers of a zone, on free ports of loopback."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._api = Api(url)

    # --- What is up ---

    def put_up(self, zone: str | None = None, scenario: str | None = None) -> None:
        """Puts up another lab: the records of zone-file text, or a scenario (TOML)."""
        if (zone is None) == (scenario is None):
            raise TypeError("expected a zone or a scenario, and not both")
        if scenario is not None:
            self._api.put("/v1/lab", scenario, "application/toml")
        else:
            self._api.put("/v1/lab", zone or "", "text/dns")

    @property
    def resolver(self) -> tuple[str, int]:
        """Where the name server listens, over UDP and TCP: an address and a port."""
        return _socket(self._show()["resolver"])

    @property
    def smtp_port(self) -> int:
        """The port of every exchanger; where they differ by ports, of the first (:meth:`socket_for`)."""
        return int(self._show()["smtp_port"])

    def socket_for(self, host: str, port: int | None = None) -> tuple[str, int]:
        """Where to connect for a host: by its name, its address in the zone, or the address that the lab's name
        server answered. ``port`` is a further port of the scenario, such as 587."""
        shown = self._show()
        for one in shown["hosts"] + shown["policy_hosts"]:
            if _is_same(host, one):
                listens = one["listens"] if port in (None, 25) else one["ports"].get(str(port))
                if listens is None:
                    raise LookupError(f"found port {port}, expected one of {host}: {['25', *one['ports']]}")
                return _socket(listens)
        known = [name for one in shown["hosts"] for name in one["names"]]
        raise LookupError(f"found host {host!r}, expected one of {', '.join(known) or 'a lab that is put up'}")

    @property
    def authority(self) -> str | None:
        """The certificate of the lab's authority (PEM); None where nobody has a certificate."""
        return self._show()["authority"]

    def _show(self) -> dict[str, Any]:
        return dict(self._api.get("/v1/lab"))

    # --- What fails ---

    def fail(self, host: str | Sequence[str] | None, stage: str, effect: str, **more: Any) -> Fault:
        """Lets a host fail: ``with lab.fail("mx1.example.test", "connect", "refuse"):``.

        The words are those of scenario files. Without a host (None) it is about all; further keys of a row of
        ``faults`` may follow: ``recipient="*@example.test"``, ``first=2``, ``until="10s"``.
        """
        row = {"stage": stage, "effect": effect, **more}
        if host is not None:
            row["host"] = host if isinstance(host, str) else list(host)
        return Fault(self._api, self._api.post("/v1/faults", row))

    def fail_query(self, query: str, effect: str, **more: Any) -> Fault:
        """Lets lookups fail: ``lab.fail_query("example.test MX", "servfail")``."""
        return Fault(self._api, self._api.post("/v1/faults", {"query": query, "effect": effect, **more}))

    def restore(self) -> None:
        """Lifts all faults, of hosts and of lookups."""
        self._api.delete("/v1/faults")

    def update(self, add: str | Iterable[str] = (), delete: str | Iterable[str] = ()) -> None:
        """Changes records: deletes each ``NAME`` or ``NAME TYPE``, then adds lines of a zone file."""
        lines = {name: [one] if isinstance(one, str) else list(one) for name, one in (("add", add), ("delete", delete))}
        self._api.patch("/v1/records", lines)

    # --- What was seen ---

    def messages(self, recipient: str | None = None) -> list[Message]:
        """The messages that exchangers took, the oldest first."""
        told = self._api.get("/v1/messages", recipient=recipient)
        return [self._message(one) for one in told["messages"]]

    def wait_for_message(self, recipient: str, timeout: float = PATIENCE, after: Message | None = None) -> Message:
        """The last message for this recipient: one that was taken before counts, unless ``after`` is it."""
        number = after.id if after is not None else None
        query = {"recipient": recipient, "timeout": timeout, "after": number}
        try:
            return self._message(self._api.get("/v1/messages/wait", wait=timeout, **query))
        except ApiError as error:
            if error.status != 404:
                raise
        attempts = "\n".join(f"  {attempt}" for attempt in self.attempts()) or "  nobody connected to an exchanger"
        raise NotSeen(f"no message for {recipient} within {timeout} s; attempts:\n{attempts}")

    def attempts(self) -> list[Attempt]:
        """What was tried, in the order in which it began."""
        told = self._api.get("/v1/attempts")
        names = Attempt.__dataclass_fields__
        return [Attempt(**{name: one[name] for name in names}) for one in told["attempts"]]

    def verdict(self, sender: str = "command") -> Verdict:
        """What the rules of the RFCs, and the scenario, have to say of what was seen so far. ``sender`` is
        ``"command"``, a program that does not try again, or ``"mail-server"``."""
        told = self._api.get("/v1/verdict", sender=sender)
        names = Finding.__dataclass_fields__
        findings = [Finding(**{name: one[name] for name in names}) for one in told["findings"]]
        return Verdict(told["passed"], findings, told["notes"])

    def assert_passed(self, sender: str = "command") -> None:
        """Fails the test unless somebody sent and nothing is wrong with it."""
        attempts = self.attempts()
        verdict = self.verdict(sender)
        if verdict.passed and attempts:
            return
        tried = "\n".join(f"  {attempt}" for attempt in attempts) or "  nobody connected to an exchanger"
        raise AssertionError(f"what the lab saw does not pass\n{verdict}\nattempts:\n{tried}")

    def _message(self, told: dict[str, Any]) -> Message:
        return Message(
            id=told["id"],
            host=told["host"],
            address=told["address"],
            sender=told["from"],
            recipients=told["to"],
            subject=told["subject"],
            tls=told["tls"],
            octets=told["octets"],
            _api=self._api,
        )


def _socket(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def _is_same(host: str, told: dict[str, Any]) -> bool:
    """Whether a name, without its final dot and in any case, or an address is that of a host."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() in told["names"]
    # An IPv6 address of the zone is answered in its IPv4-mapped form.
    return wanted in (ipaddress.ip_address(told["address"]), ipaddress.ip_address(told["answered"]))
