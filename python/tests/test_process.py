"""The process behind the fixture: found, and never left behind."""

import os
import signal
import subprocess
import sys

import pytest
from pytest_mxdrill import MxdrillProcess
from pytest_mxdrill.process import find_binary


def test_it_ends_when_it_is_stopped():
    process = MxdrillProcess()
    process.stop()
    assert process.process.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_it_ends_when_whoever_started_it_is_killed():
    program = "from pytest_mxdrill import MxdrillProcess; p = MxdrillProcess(); print(p.process.pid, flush=True); input()"
    owner = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    number = int(owner.stdout.readline())
    # The system tells when it ends, whoever its parent is by then.
    watch = os.pidfd_open(number) if hasattr(os, "pidfd_open") else None
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    if watch is None:
        pytest.skip("needs pidfd_open")
    import select

    assert select.select([watch], [], [], 10)[0], "it is still there"
    os.close(watch)


def test_a_binary_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("MXDRILL", "/nowhere/mxdrill")
    with pytest.raises(RuntimeError, match="MXDRILL='/nowhere/mxdrill'"):
        find_binary()


def test_one_that_does_not_come_up_says_why():
    with pytest.raises(RuntimeError, match="did not come up"):
        MxdrillProcess(sys.executable)


def test_an_unknown_key_of_the_marker_is_a_mistake(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.mxdrill(zon='')\ndef test(lab): pass\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*found zon in the marker mxdrill, expected zone or scenario*"])
