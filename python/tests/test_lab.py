"""The fixture with mail that is really sent."""

import pytest
from pytest_mxdrill import ApiError, NotSeen
from sender import send

ZONE = """
$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
"""
ALICE = "alice@example.test"

pytestmark = pytest.mark.mxdrill(zone=ZONE)


def test_the_backup_takes_mail_while_the_primary_is_down(lab):
    with lab.fail("mx1.example.test", "connect", "refuse"):
        send(lab.resolver, lab.socket_for, ALICE)
    message = lab.wait_for_message(ALICE)
    assert message.host == "mx2.example.test"
    # The fault has ended with its block.
    assert send(lab.resolver, lab.socket_for, ALICE) == "mx1.example.test"
    lab.assert_passed()


def test_a_message_can_be_read(lab):
    send(lab.resolver, lab.socket_for, ALICE, text="Grüße\n.\n<script>alert(1)</script>\n")
    [message] = lab.messages()
    assert (message.sender, message.recipients, message.tls) == ("sender@sender.test", [ALICE], False)
    assert message.subject == message.email["Subject"] == "Grüße <b>all</b>"
    assert message.text.splitlines() == ["Grüße", ".", "<script>alert(1)</script>"]
    assert len(message.content) == message.octets
    assert lab.messages("bob@example.test") == []


def test_a_fault_lasts_until_it_is_restored(lab):
    lab.fail("mx1.example.test", "rcpt", "450 4.2.1 later")
    lab.fail(["mx2.example.test"], "rcpt", "550 5.1.1 nobody", recipient="*@example.test", first=1)
    with pytest.raises(Exception, match="nobody"):
        send(lab.resolver, lab.socket_for, ALICE)
    assert [(one.host, one.result, one.stage) for one in lab.attempts()] == [
        ("mx1.example.test", "450", "rcpt"),
        ("mx2.example.test", "550", "rcpt"),
    ]
    # The second one is used up.
    assert send(lab.resolver, lab.socket_for, ALICE) == "mx2.example.test"
    lab.restore()
    assert send(lab.resolver, lab.socket_for, ALICE) == "mx1.example.test"


def test_a_sender_that_gives_up_too_early_is_found_out(lab):
    lab.fail("mx1.example.test", "connect", "reset")
    with pytest.raises(Exception):
        send(lab.resolver, lab.socket_for, ALICE, tries=1)
    # Nothing was offered, so nothing is known of a message; a scenario says that there was one.
    lab.put_up(scenario=f"summary = 's'\nzone = '''{ZONE}'''\nmessages = [{{ id = 'm1', to = '{ALICE}' }}]\n")
    lab.fail("mx1.example.test", "mail", "451 4.3.0 busy")
    with pytest.raises(Exception, match="busy"):
        send(lab.resolver, lab.socket_for, ALICE, tries=1)
    verdict = lab.verdict()
    assert verdict.passed is False
    assert "next-candidate" in [finding.rule for finding in verdict.findings]
    with pytest.raises(AssertionError, match="tries a second candidate"):
        lab.assert_passed()


def test_lookups_fail(lab):
    with lab.fail_query("example.test MX", "servfail"), pytest.raises(OSError, match="code 2"):
        send(lab.resolver, lab.socket_for, ALICE)
    send(lab.resolver, lab.socket_for, ALICE)


def test_records_change(lab):
    lab.update(delete="example.test MX", add="example.test. MX 5 mx2.example.test.")
    assert send(lab.resolver, lab.socket_for, ALICE) == "mx2.example.test"
    lab.assert_passed()


def test_waiting_in_vain_says_what_was_tried(lab):
    lab.fail("mx1.example.test", "dot", "554 5.7.1 no")
    with pytest.raises(Exception):
        send(lab.resolver, lab.socket_for, ALICE, tries=1)
    with pytest.raises(NotSeen, match="mx1.example.test 554 at dot"):
        lab.wait_for_message(ALICE, timeout=0.01)


def test_a_message_of_before_does_not_count_if_it_is_not_to(lab):
    send(lab.resolver, lab.socket_for, ALICE)
    first = lab.wait_for_message(ALICE)
    with pytest.raises(NotSeen):
        lab.wait_for_message(ALICE, timeout=0.01, after=first)
    send(lab.resolver, lab.socket_for, ALICE)
    assert lab.wait_for_message(ALICE, after=first).id > first.id


def test_hosts_are_found_by_name_and_by_either_address(lab):
    there = lab.socket_for("MX1.example.test.")
    assert there == lab.socket_for("192.0.2.1")
    with pytest.raises(LookupError, match="mx1.example.test, mx2.example.test"):
        lab.socket_for("mx3.example.test")


def test_a_slip_is_told_with_the_nearest_word(lab):
    with pytest.raises(ApiError, match='did you mean "connect"'):
        lab.fail("mx1.example.test", "conect", "refuse")
    with pytest.raises(ApiError, match='did you mean "mx1.example.test"'):
        lab.fail("mx.example.test", "connect", "refuse")
    with pytest.raises(ApiError, match="no file can be read"):
        lab.put_up(scenario="summary = 's'\nzone_file = '/etc/passwd'\nmessages = [{ id = 'm', to = 'a@b.test' }]\n")


@pytest.mark.mxdrill(zone="other.test. MX 10 mail.other.test.\nmail.other.test. A 192.0.2.9\n")
def test_the_nearest_marker_counts_and_nothing_is_left_of_the_test_before(lab):
    assert lab.messages() == [] and lab.attempts() == []
    assert send(lab.resolver, lab.socket_for, "bob@other.test") == "mail.other.test"
