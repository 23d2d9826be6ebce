"""Every attack, as root and as an ordinary user: what was tried, and that it was held.

Where this kernel has no means against an attack, the facility that would hold it must say so.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.world import EVIL_MODES, LEAKED, World, world
from tests.e2e.project import until

WHO = ["root", "user"] if os.geteuid() == 0 else ["user"]
# How the kernel says no. EINVAL is no such answer: the call was looked at.
HELD = {
    "EPERM", "EACCES", "ENOENT", "ENOSYS", "EROFS", "ENOTDIR", "EXDEV", "ESRCH", "EBADF",
    "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ECONNREFUSED", "ENOMEM", "EAGAIN",
    "not allowed to raise maximum limit",
}  # fmt: skip
ENDS = ("Runtime.ExitError", "Runtime.OutOfMemory")
FORGERIES = [
    "another's result",
    "two results",
    "4 GB",
    "nesting",
    "garbage",
    "out of order",
    "closed",
]


@pytest.fixture(scope="module", params=WHO)
def arena(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param) as made:
        yield made


def held(attempts: list[dict[str, Any]], *allowed: str) -> None:
    assert attempts
    assert not broken(attempts, *allowed)


def broken(attempts: list[dict[str, Any]], *allowed: str) -> list[dict[str, Any]]:
    """Those that got through."""
    answers = HELD | set(allowed)
    return [row for row in attempts if not (type(row["got"]) is str and row["got"] in answers)]


def test_system_calls(arena: World) -> None:
    held(arena.attack("system_calls"))
    held(arena.attack("other_architecture"))
    held(arena.attack("terminal"), "ENOTTY")


def test_namespaces(arena: World) -> None:
    # Its own user namespace is one that it is in already.
    held(arena.attack("namespaces"), "EINVAL")


def test_files(arena: World) -> None:
    event = {"data": str(arena.project.data), "home": str(Path.home())}
    visible = broken(arena.attack("files", **event))
    # An interpreter below somebody's home is shown, and nothing beside it.
    assert all(row["tried"] == f"see {event['home']}" for row in visible), visible
    assert all(row["got"] in ([], [".pyenv"]) for row in visible), visible


def test_processes(arena: World) -> None:
    arena.check_others()
    pids = [os.getpid(), *arena.pids()]
    held(arena.attack("processes", pids=pids))
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_massacre_ends_at_the_instance(arena: World) -> None:
    """Its sibling lives on where Landlock scopes signals; others' functions always do."""
    arena.check_others()
    pids = arena.pids()
    answers: list[Any] = []
    sibling = threading.Thread(target=lambda: answers.append(_outcome(arena, s=2)))
    sibling.start()
    until(lambda: _busy(arena), "the sibling to run")
    _outcome(arena, attack="massacre")
    sibling.join()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == pids
    if arena.enforced("signals, abstract sockets"):
        assert answers == ["ok"]
    arena.check_others()


def test_secrets_of_others(arena: World) -> None:
    arena.check_others()
    interpreter = os.path.realpath("/proc/self/exe").rpartition("/bin/")[0]
    held(arena.attack("secrets_of_others", interpreter=interpreter))
    for path in arena.project.data.rglob("*.log"):
        assert "mark-of-the-victim" not in path.read_text()


def test_descriptors(arena: World) -> None:
    held(arena.project.invoke("fresh", {"attack": "descriptors"}))


def test_sockets(arena: World) -> None:
    held(arena.attack("sockets", path_socket=arena.path_socket))


def test_abstract_sockets(arena: World) -> None:
    attempts = arena.attack("abstract_sockets", name=arena.abstract_name)
    if arena.enforced("signals, abstract sockets"):
        held(attempts)


def test_privileges(arena: World) -> None:
    attempts = arena.attack("privileges")
    # Where nobody else exists, to become root is not forbidden but meaningless.
    held(attempts, "EINVAL") if _alone(attempts) else held(attempts)


def _alone(attempts: list[dict[str, Any]]) -> bool:
    return [row["tried"] for row in attempts if row["got"] == "EINVAL"] == ["be root"]


def test_groups(arena: World) -> None:
    held(arena.attack("groups", tree="microfaas-secret"))


def test_environment(arena: World) -> None:
    held(arena.attack("environment", names=[LEAKED, "SUDO_USER", "LS_COLORS", "PWD", "OLDPWD"]))


@pytest.mark.parametrize("kind", FORGERIES)
def test_forgery(arena: World, kind: str) -> None:
    """Only the forger's own call suffers, if any does; the next one is whole."""
    outcome = _outcome(arena, attack="forge", kind=kind, id="12345678-0000-4000-a000-0", s=0.2)
    assert outcome in ("ok", "Runtime.ExitError")
    for _ in range(3):
        until(lambda: _outcome(arena, attack="wait", s=0) == "ok", "the next call to be answered")
    arena.check_others()


@pytest.mark.parametrize("mode", EVIL_MODES)
def test_attacks_while_loading(arena: World, mode: str) -> None:
    if mode == "leave_links":
        assert arena.project.invoke(mode) == ["folder", "shadow"]
        return
    outcome = _outcome(arena, function=mode)
    arena.check_others()
    if mode == "evade" and arena.enforced("memory"):
        assert outcome == "ServiceException"
    if mode == "leave_daemons":
        assert outcome == "ok"
        _nothing_is_left(arena, mode)


def test_a_fork_bomb(arena: World) -> None:
    assert _outcome(arena, attack="bomb") in ("Sandbox.Timedout", *ENDS)
    arena.check_others()
    _nothing_is_left(arena)


def test_a_memory_bomb(arena: World) -> None:
    assert _outcome(arena, attack="eat") == "Runtime.OutOfMemory"
    arena.check_others()


def test_page_cache_and_tmp_count_as_memory(arena: World) -> None:
    outcome = _outcome(arena, attack="eat_tmp")
    if arena.enforced("memory"):
        # 32 MB of /tmp fit beside the host in 64 MB: then /tmp is full, and the handler fails.
        assert outcome in ("OSError", "Runtime.OutOfMemory")
    arena.check_others()


def test_a_disk_filler(arena: World) -> None:
    assert _outcome(arena, attack="fill", result=True) in ("ENOSPC", "Runtime.OutOfMemory")
    arena.check_others()


def test_a_flood_of_output(arena: World) -> None:
    assert _outcome(arena, attack="flood", mb=16) == "ok"
    log = arena.project.data / "logs" / "hostile.log"
    assert log.stat().st_size < 8 << 20
    until(lambda: "dropped" in log.read_text(errors="replace"), "the notice")
    arena.check_others()


def test_a_busy_loop(arena: World) -> None:
    done: list[Any] = []
    spinning = threading.Thread(target=lambda: done.append(_outcome(arena, attack="spin")))
    spinning.start()
    for _ in range(20):
        arena.check_others()
        time.sleep(0.05)
    spinning.join()
    assert done == ["Sandbox.Timedout"]


def test_all_files_open(arena: World) -> None:
    assert arena.attack("exhaust_files") == "EMFILE"
    arena.check_others()


def test_survivors(arena: World) -> None:
    assert _outcome(arena, attack="survive") == "Sandbox.Timedout"
    _nothing_is_left(arena)


def test_a_crash_leaves_no_core(arena: World) -> None:
    assert _outcome(arena, attack="crash") == "Runtime.ExitError"
    assert not [*arena.folder.rglob("core*")]
    assert not [*Path("/tmp").glob("core*")]


def _outcome(arena: World, function: str = "hostile", result: bool = False, **event: Any) -> Any:
    event.setdefault("attack", "wait")
    client = arena.project.lambda_client(read_timeout=60)
    try:
        reply = client.invoke(FunctionName=function, Payload=json.dumps(event))
    except client.exceptions.ServiceException:
        return "ServiceException"
    payload = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        return payload["errorType"]
    return payload if result else "ok"


def _busy(arena: World) -> bool:
    instances = arena.project.functions()["hostile"]["instances"]
    return any(instance["state"] == "busy" for instance in instances)


def _nothing_is_left(arena: World, function: str = "hostile") -> None:
    """No process of the function but those that the server knows of."""

    def strangers() -> list[int]:
        row = arena.project.functions()[function]
        if row["zygote_pid"] is None:
            return []  # process 1 of their namespace is gone, and all that were in it are too
        known = {row["zygote_pid"], *(instance["pid"] for instance in row["instances"])}
        return [pid for pid in _in_namespace_of(row["zygote_pid"]) if pid not in known]

    until(lambda: not strangers(), "everything that was started to be gone")


def _in_namespace_of(pid: int) -> list[int]:
    """Those processes of the machine that are in the pid namespace of one of them."""
    try:
        wanted = os.readlink(f"/proc/{pid}/ns/pid")
    except FileNotFoundError:
        return []  # it has just gone, and with it all that were in it
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/ns/pid") == wanted:
                found.append(int(name))
        except OSError:
            continue
    return found
