"""The Python host as a spare: started without a control socket, as behind a wrapper."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_world import LIBRARIES
from spare_world import Spare


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[Spare]:
    """The Python host without a control socket."""
    made = Spare(tmp_path, "python", program=sys.executable, libraries=str(LIBRARIES))
    made.ready()
    yield made
    made.close()


def test_without_a_control_socket_it_is_a_spare(spare: Spare) -> None:
    (spare.code / "app.py").write_text(
        "import os\ndef handler(event, context): return [event, os.environ['WORD']]"
    )
    assert spare.load("app.handler", WORD="said") == {
        "kind": "loaded",
        "forkable": False,
        "why": "it is a spare",
    }
    assert spare.result(b"1") == b'[1, "said"]'
    spare.talk.send("stop")
    assert spare.status() == 0


def test_a_spare_tells_why_it_cannot_load_and_ends(spare: Spare) -> None:
    answer = spare.load("nowhere.handler")
    assert answer["type"] == "Runtime.ImportModuleError"
    assert spare.status() == 1


def test_a_spare_ends_with_the_status_of_a_module_that_exits(spare: Spare) -> None:
    (spare.code / "app.py").write_text("import sys; sys.exit(7)")
    spare.talk.send("init", handler="app.handler", snapshot="off", env={})
    assert spare.talk.ended()
    assert spare.status() == 7
