"""What a trigger takes for its calls' limits, whatever it calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from microfaas.config import Trigger
from microfaas.config.queue_triggers import QueueSettings
from microfaas.invoke import Invoker
from microfaas.model import LATEST, Function, Limits, Version
from microfaas.store.functions import Functions, Pointer

sys.path.append(str(Path(__file__).parent))
from around import surroundings

TIMEOUTS_S = {LATEST: 5.0, "1": 10.0, "2": 20.0}


@pytest.fixture
def functions() -> Functions:
    made = Functions()
    for number, timeout_s in TIMEOUTS_S.items():
        limits = Limits(timeout_s=timeout_s)
        function = Function(name="f", runtime="python", handler="a.b", code="", limits=limits)
        made.put(Version(function=function, code_dir="", code_sha256="", number=number))
    made.point("f", "live", Pointer("1"))
    made.point("f", "tried", Pointer("1", "2", 0.01))
    made.point("f", "left", Pointer("2", "1", 0.99))
    return made


@pytest.mark.parametrize(
    ("name", "qualifier", "timeout_s"),
    [
        ("f", "", 5.0),
        ("f", "2", 20.0),
        ("f", "live", 10.0),
        ("f", "tried", 20.0),
        ("f", "left", 20.0),
        ("f", "not-there", 5.0),
        ("g", "live", Limits().timeout_s),
    ],
)
def test_they_are_those_of_what_is_called(
    functions: Functions, name: str, qualifier: str, timeout_s: float
) -> None:
    nobody: Any = None
    around = surroundings(invoker=Invoker(functions, *[nobody] * 4))
    called = Trigger(name, "queue", QueueSettings(queue="q"), qualifier)
    assert {around.limits(called).timeout_s for _ in range(20)} == {timeout_s}
