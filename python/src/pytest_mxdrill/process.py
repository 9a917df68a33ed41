"""The process ``mxdrill up --control``: started on free ports, and never left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from typing import Any

#: Seconds that the process may take to end by itself.
PATIENCE = 5.0


class MxdrillProcess:
    """A running ``mxdrill``; :meth:`stop` ends it.

    It ends, too, when this process is gone, however that came about: its standard input ends then.
    """

    def __init__(self, binary: str | None = None) -> None:
        self._said = tempfile.TemporaryFile()
        command = [
            binary or find_binary(),
            *("up", "--control", "127.0.0.1:0", "--format", "json", "--until-eof"),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        # Its log is of no use here: the API has it. It does not mind that nobody reads.
        self.process.stdout.close()
        try:
            self.up: dict[str, Any] = json.loads(first)
            self.url: str = self.up["control"]
        except (ValueError, KeyError):
            self.stop()
            raise RuntimeError(f"{' '.join(command)} did not come up: {self.said()}") from None

    def said(self) -> str:
        """What it said on standard error."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip() or "it said nothing"

    def stop(self) -> None:
        """Asks it to end, and kills it if it does not."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def find_binary() -> str:
    """The binary that ``$MXDRILL`` names, or the one of the PATH."""
    named = os.environ.get("MXDRILL")
    found = shutil.which(named or "mxdrill")
    if found is None:
        where = f"MXDRILL={named!r}" if named else "no mxdrill in the PATH"
        raise RuntimeError(f"found {where}, expected the program: cargo install --path cli, or set MXDRILL")
    return found
