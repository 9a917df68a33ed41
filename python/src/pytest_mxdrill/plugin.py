"""The fixtures, and the marker that says what is put up."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from .lab import Lab
from .process import MxdrillProcess


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "mxdrill(zone=None, scenario=None): what the fixture `lab` puts up before the test: "
        "zone-file text, or a scenario as text or as a Path",
    )


@pytest.fixture(scope="session")
def mxdrill_process() -> Iterator[MxdrillProcess]:
    """One process for all tests, or for each worker where they run side by side."""
    process = MxdrillProcess()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def lab(mxdrill_process: MxdrillProcess, request: pytest.FixtureRequest) -> Lab:
    """A lab of this test alone: nothing fails in it, and it has no message."""
    lab = Lab(mxdrill_process.url)
    marker = request.node.get_closest_marker("mxdrill")
    if marker is None:
        lab.put_up(zone="")
        return lab
    given = dict(zip(("zone", "scenario"), marker.args), **marker.kwargs)
    unknown = set(given) - {"zone", "scenario"}
    if unknown:
        raise pytest.UsageError(f"found {', '.join(sorted(unknown))} in the marker mxdrill, expected zone or scenario")
    texts = {name: one.read_text() if isinstance(one, Path) else one for name, one in given.items()}
    lab.put_up(**texts)
    return lab
