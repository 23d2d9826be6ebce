"""Triggers that are put through the control API: what is no list of tables is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from microfaas.errors import InvalidRequest
from microfaas.gateway.invocations_api import Asked
from microfaas.gateway.triggers_api import TriggersApi


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        *(
            ("PutTriggers", body, "a JSON list of triggers")
            for body in (b"", b"{}", b"[1]", b"[" * 9999, b'[{"\xff": 1}]')
        ),
        ("PutAllTriggers", b'{"f": [1]}', "functions' triggers by name"),
        ("CheckTriggers", b'{"triggers": {}, "queues": ["q"]}', "triggers and what there will be"),
        ("CheckTriggers", b'{"triggers": {}, "tables": {}}', "triggers and what there will be"),
    ],
)
async def test_a_body_that_is_something_else(name: str, body: bytes, told: str) -> None:
    nothing: Any = None
    (put,) = (each for each in TriggersApi(nothing).operations if each.name == name)
    with pytest.raises(InvalidRequest, match=f"must be {told}"):
        await put.answer(Asked("id", "f", {}, body, lambda _, __: None))
