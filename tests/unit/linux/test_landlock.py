"""Landlock's rules, on a process that is held to them."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from child import as_root, become_nobody, give_up_privileges, run, waiting

from microfaas.linux import landlock
from microfaas.linux import syscalls as sys

VERSION = sys.landlock_version()


def landlocked(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test for kernels that have it."""
    return test if VERSION else None


def scoped(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test for kernels on which it knows of signals and sockets as well."""
    return test if VERSION >= landlock.SCOPES_SINCE else None


def answer(act: Callable[..., object], *arguments: object) -> str:
    """What came of it."""
    try:
        act(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def confined(act: Callable[[], object], writable: list[str], *, zygote: bool = False) -> object:
    """What comes of it in an instance that may write there; `zygote`: forked from one."""

    def inside() -> object:
        give_up_privileges()
        if zygote:
            landlock.restrict_zygote()
        rules = landlock.ruleset(writable)
        sys.landlock_restrict_self(rules)
        os.close(rules)
        return act()

    return run(inside)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A directory that may be written to, and one that may not; each has a file."""
    made = tmp_path / "mine", tmp_path / "other"
    for place in made:
        place.mkdir()
        (place / "file").write_text("text")
    return made


@landlocked
@pytest.mark.parametrize("zygote", [False, True])
def test_all_may_be_read_and_little_written(places: tuple[Path, Path], zygote: bool) -> None:
    mine, other = places

    def act() -> dict[str, str]:
        return {
            "read": answer((other / "file").read_text),
            "list": answer(os.listdir, other),
            "write": answer((mine / "file").write_text, "x"),
            "make": answer((mine / "new").mkdir),
            "fifo": answer(os.mkfifo, mine / "fifo"),
            "move": answer(os.rename, mine / "file", mine / "moved"),
            "move below": answer(os.rename, mine / "moved", mine / "new/moved"),
            "remove": answer(os.unlink, mine / "new/moved"),
        }

    done = confined(act, [str(mine)], zygote=zygote)
    # Landlock's first version knows no move between directories, and so forbids it.
    below = "done" if VERSION > 1 else "EXDEV"
    expected = dict.fromkeys(("read", "list", "write", "make", "fifo", "move"), "done")
    assert isinstance(done, dict)
    assert {**done, "remove": ""} == {**expected, "move below": below, "remove": ""}


@landlocked
def test_elsewhere_nothing_may_be_changed(places: tuple[Path, Path]) -> None:
    mine, other = places

    def act() -> set[str]:
        return {
            answer((other / "file").write_text, "x"),
            answer((other / "new").mkdir),
            answer((other / "new").touch),
            answer(os.mkfifo, other / "fifo"),
            answer(os.symlink, "file", other / "link"),
            answer(os.unlink, other / "file"),
            answer(os.rename, other / "file", other / "moved"),
        }

    assert confined(act, [str(mine)]) == {"EACCES"}
    assert sorted(os.listdir(other)) == ["file"]


@landlocked
@pytest.mark.parametrize("zygote", [False, True])
def test_nothing_is_moved_or_linked_across_the_border(
    places: tuple[Path, Path], zygote: bool
) -> None:
    mine, other = places

    def act() -> set[str]:
        return {
            answer(os.rename, mine / "file", other / "moved"),
            answer(os.rename, other / "file", mine / "moved"),
            answer(os.link, mine / "file", other / "linked"),
        }

    assert confined(act, [str(mine)], zygote=zygote) <= {"EACCES", "EXDEV"}  # type: ignore[operator]


if VERSION >= 3:

    @pytest.mark.parametrize("zygote", [False, True])
    def test_files_that_are_not_its_own_are_not_cut_short(
        places: tuple[Path, Path], zygote: bool
    ) -> None:
        mine, other = places

        def act() -> tuple[str, str]:
            return answer(os.truncate, other / "file", 0), answer(os.truncate, mine / "file", 0)

        assert confined(act, [str(mine)], zygote=zygote) == ("EACCES", "done")
        assert (other / "file").read_text() == "text"


@landlocked
def test_devices_and_proc_may_be_written_to_as_ever(tmp_path: Path) -> None:
    def act() -> tuple[str, str]:
        null = answer(Path("/dev/null").write_text, "x")
        return null, answer(Path("/proc/self/comm").write_text, "name")

    assert confined(act, [str(tmp_path)]) == ("done", "done")


@landlocked
@as_root
@pytest.mark.parametrize("zygote", [False, True])
def test_nobody_makes_devices_even_with_the_privilege(tmp_path: Path, zygote: bool) -> None:
    def act() -> set[str]:
        sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)
        if zygote:
            landlock.restrict_zygote()
        else:
            sys.landlock_restrict_self(landlock.ruleset([str(tmp_path)]))
        kinds = (stat.S_IFCHR, stat.S_IFBLK)
        return {answer(os.mknod, tmp_path / "x", kind | 0o600, os.makedev(1, 3)) for kind in kinds}

    assert run(act) == {"EACCES"}


@landlocked
def test_a_zygote_may_write_until_its_instances_may_not(places: tuple[Path, Path]) -> None:
    mine, other = places

    def act() -> tuple[str, str, str]:
        give_up_privileges()
        landlock.restrict_zygote()
        before = answer((other / "file").write_text, "x")
        moved = answer(os.rename, other / "file", mine / "moved")
        sys.landlock_restrict_self(landlock.ruleset([str(mine)]))
        return before, moved, answer((other / "file").write_text, "x")

    before, moved, after = run(act)
    assert (before, after) == ("done", "EACCES")
    assert moved == ("done" if VERSION > 1 else "EXDEV")


@scoped
def test_abstract_sockets_of_others_are_out_of_reach(tmp_path: Path) -> None:
    name = f"\0microfaas-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(name)
        service.listen()

        def act() -> tuple[str, str]:
            with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as own:
                own.bind(name + "-own")
                own.listen()
                with socket.socket(socket.AF_UNIX) as other:
                    return answer(one.connect, name), answer(other.connect, name + "-own")

        assert confined(act, [str(tmp_path)]) == ("EPERM", "done")


@scoped
@pytest.mark.parametrize("zygote", [False, True])
def test_others_of_the_same_user_cannot_be_signalled(tmp_path: Path, zygote: bool) -> None:
    def act() -> tuple[str, str, str]:
        become_nobody()
        outside = waiting()
        give_up_privileges()
        free = answer(os.kill, outside, 0)
        if zygote:
            landlock.restrict_zygote()
        sys.landlock_restrict_self(landlock.ruleset([]))
        return free, answer(os.kill, outside, 0), answer(os.kill, waiting(), signal.SIGKILL)

    assert run(act) == ("done", "EPERM", "done")


@landlocked
def test_rules_are_closed_for_programs(tmp_path: Path) -> None:
    rules = landlock.ruleset([str(tmp_path)])
    assert not os.get_inheritable(rules)
    os.close(rules)


@landlocked
def test_where_to_write_must_exist(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        landlock.ruleset([str(tmp_path / "missing")])
    assert len(os.listdir("/proc/self/fd")) == before
