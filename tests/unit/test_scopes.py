"""What keys are allowed to do."""

from __future__ import annotations

import pytest

from microfaas import scopes
from microfaas.errors import ConfigError
from microfaas.scopes import Action


@pytest.mark.parametrize(
    ("text", "action", "function", "allowed"),
    [
        ("invoke", "invoke", "order", True),
        ("invoke", "read", "", False),
        ("invoke", "admin", "", False),
        ("invoke:order", "invoke", "order", True),
        ("invoke:order", "invoke", "order2", False),
        ("invoke:order", "invoke", "orde", False),
        ("invoke:order*", "invoke", "order2", True),
        ("invoke:order*", "invoke", "orde", False),
        ("invoke:order*", "invoke", "order", True),
        ("invoke:a,invoke:b-*", "invoke", "b-1", True),
        ("invoke:a,invoke:b-*", "invoke", "a-1", False),
        ("read", "read", "", True),
        ("read", "invoke", "order", False),
        ("read", "admin", "", False),
        ("admin", "invoke", "order", True),
        ("admin", "read", "", True),
        ("admin", "admin", "", True),
        ("send", "send", "orders", True),
        ("send", "receive", "orders", False),
        ("send", "invoke", "orders", False),
        ("send:orders.fifo", "send", "orders.fifo", True),
        ("send:orders.fifo", "send", "orders", False),
        ("send:a*,receive:b", "send", "a1", True),
        ("send:a*,receive:b", "receive", "b", True),
        ("send:a*,receive:b", "receive", "a1", False),
        ("send:a,send", "send", "other", True),
        # A name that stands nowhere: the service asks once it knows it.
        ("receive:b", "receive", "", True),
        ("send:b", "receive", "", False),
        ("read", "send", "orders", False),
        ("admin", "receive", "orders", True),
        (" invoke:order , read ", "read", "", True),
    ],
)
def test_what_is_allowed(text: str, action: Action, function: str, allowed: bool) -> None:
    assert scopes.parse(text).allow(action, function) is allowed


@pytest.mark.parametrize(
    "text",
    ["", ",", "invoke:", "invoke:*", "invoke:a b", "invoke:a*b", "Invoke", "invoke:a/b", "write"],
)
def test_what_is_no_scope_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot use --allow:(.|\n)*invoke:PREFIX\*, .*read, admin"
    ):
        scopes.parse(text, "--allow")


def test_they_read_as_they_were_written() -> None:
    assert str(scopes.parse("read, invoke:a,read")) == "read,invoke:a"
