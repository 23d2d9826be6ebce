"""The order of messages: the table is all there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.errors import ProtocolError
from microfaas.wire.session import FIELDS, PROTOCOL_VERSION, RECEIVE, SEND, Session, State

KINDS = sorted({kind for _, kind in (*SEND, *RECEIVE)} | {"spawn", "chunk", "", "READY"})
EVERY = [(state, kind) for state in State for kind in KINDS]
VALID: dict[str, dict[str, Any]] = {
    "ready": {"protocol": PROTOCOL_VERSION, "pid": 1},
    "loaded": {"forkable": True, "why": ""},
    "chunk": {"id": "", "payload": b""},
    "result": {"id": "", "payload": b""},
    "error": {"id": "", "type": "E", "payload": b""},
}
WRONG: dict[type, list[Any]] = {
    int: [None, "1", 1.0, True],
    bool: [None, 0, 1, "true"],
    str: [None, b"x", 1, ["x"]],
    bytes: [None, "x", 1, [1]],
}
WRONG_FIELDS = [
    (kind, name, value)
    for kind, fields in FIELDS.items()
    for name, wanted in fields
    for value in WRONG[wanted]
]


def message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, **VALID.get(kind, {}), **fields}


def before(kind: str) -> Session:
    """A session that may receive `kind` now."""
    return Session(next(state for state, wanted in RECEIVE if wanted == kind))


def busy(request_id: str) -> Session:
    session = Session(State.IDLE)
    session.send({"kind": "invoke", "id": request_id})
    return session


@pytest.mark.parametrize(("state", "kind"), sorted(SEND, key=str))
def test_what_the_table_lets_us_send_moves_the_session(state: State, kind: str) -> None:
    session = Session(state)
    session.send({"kind": kind})
    assert session.state is SEND[state, kind]


@pytest.mark.parametrize(("state", "kind"), sorted(RECEIVE, key=str))
def test_what_the_table_lets_come_moves_the_session(state: State, kind: str) -> None:
    session = Session(state)
    session.receive(message(kind))
    assert session.state is RECEIVE[state, kind]


@pytest.mark.parametrize(("state", "kind"), [pair for pair in EVERY if pair not in SEND])
def test_what_may_not_be_sent_is_refused_by_name(state: State, kind: str) -> None:
    session = Session(state)
    with pytest.raises(ProtocolError, match=f"send '{kind}' to a host that is {state.value}"):
        session.send({"kind": kind})
    assert session.state is state


@pytest.mark.parametrize(("state", "kind"), [pair for pair in EVERY if pair not in RECEIVE])
def test_what_may_not_come_is_refused_by_name(state: State, kind: str) -> None:
    session = Session(state)
    with pytest.raises(ProtocolError, match=f"accept '{kind}' from a host that is {state.value}"):
        session.receive(message(kind))
    assert session.state is state


@given(st.sampled_from(State), st.lists(st.tuples(st.booleans(), st.sampled_from(KINDS))))
def test_random_walks_never_leave_the_table(start: State, steps: list[tuple[bool, str]]) -> None:
    session, expected = Session(start), start
    for outwards, kind in steps:
        table, act = (SEND, session.send) if outwards else (RECEIVE, session.receive)
        try:
            act(message(kind))
        except ProtocolError:
            assert (expected, kind) not in table
        else:
            expected = table[expected, kind]
        assert session.state is expected


@pytest.mark.parametrize(("kind", "name", "value"), WRONG_FIELDS)
def test_a_field_of_the_wrong_type_is_refused_by_name(kind: str, name: str, value: Any) -> None:
    session = before(kind)
    with pytest.raises(ProtocolError, match=f"cannot accept '{kind}': field '{name}' is not"):
        session.receive(message(kind, **{name: value}))


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k, fields in FIELDS.items() for n, _ in fields]
)
def test_a_missing_field_is_refused_by_name(kind: str, name: str) -> None:
    fields = message(kind)
    del fields[name]
    with pytest.raises(ProtocolError, match=f"field '{name}' is not"):
        before(kind).receive(fields)


def test_unknown_fields_are_allowed() -> None:
    before("loaded").receive(message("loaded", more={"x": 1}))


@pytest.mark.parametrize("kind", ["result", "error"])
def test_an_answer_to_another_request_is_refused(kind: str) -> None:
    session = busy("one")
    with pytest.raises(ProtocolError, match="for a request that is not running"):
        session.receive(message(kind, id="two"))
    assert session.state is State.BUSY


@pytest.mark.parametrize("kind", ["result", "error"])
def test_an_answer_to_the_running_request_is_taken(kind: str) -> None:
    session = busy("one")
    session.receive(message(kind, id="one"))
    assert session.state is State.IDLE


def test_an_answer_that_comes_twice_is_refused() -> None:
    session = busy("one")
    session.receive(message("result", id="one"))
    with pytest.raises(ProtocolError):
        session.receive(message("result", id="one"))


def test_a_late_answer_to_the_last_request_is_refused() -> None:
    session = busy("one")
    session.receive(message("result", id="one"))
    session.send({"kind": "invoke", "id": "two"})
    with pytest.raises(ProtocolError):
        session.receive(message("result", id="one"))


@pytest.mark.parametrize("version", [0, PROTOCOL_VERSION + 1])
def test_a_host_of_another_protocol_is_refused(version: int) -> None:
    with pytest.raises(ProtocolError, match=f"cannot talk to a host of protocol {version}"):
        before("ready").receive(message("ready", protocol=version))
