"""Triggers that are put through the control API: what is no list of tables is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from microfaas.errors import InvalidRequest
from microfaas.gateway.invocations_api import Asked
from microfaas.gateway.triggers_api import TriggersApi


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"[" * 9999, b'[{"\xff": 1}]'])
async def test_a_body_that_is_no_list_of_tables(body: bytes) -> None:
    nothing: Any = None
    (put,) = (each for each in TriggersApi(nothing).operations if each.name == "PutTriggers")
    with pytest.raises(InvalidRequest, match="must be a JSON list of triggers"):
        await put.answer(Asked("id", "f", {}, body, lambda _, __: None))
