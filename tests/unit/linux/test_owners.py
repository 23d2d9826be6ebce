"""Directories and devices shown as a function's own, and the list that lets it in elsewhere."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from child import UID, as_root, run

from microfaas.linux import owners, users
from microfaas.linux import syscalls as sys

OWNER, GROUP, OTHER = 4321, 4322, 4323
NOBODY = 0xFFFFFFFF
USER_OBJ, USER, GROUP_OBJ, NAMED_GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
Acl = dict[tuple[int, int], int]


def write_acl(path: Path, rows: Acl) -> None:
    content = b"".join(struct.pack("<HHI", tag, rights, i) for (tag, i), rights in rows.items())
    os.setxattr(path, owners.ACL, struct.pack("<I", 2) + content)


def read_acl(path: Path) -> Acl:
    content = os.getxattr(path, owners.ACL)[4:]
    return {(tag, i): rights for tag, rights, i in struct.iter_unpack("<HHI", content)}


def shown(source: Path, act: Callable[[Path], object]) -> object:
    """What a function does in a directory that is shown as its own, in a mount namespace."""
    target = source.parent / "target"
    target.mkdir()

    def inside() -> object:
        sys.unshare(sys.CLONE_NEWNS)
        sys.mount("none", "/", "", sys.MS_REC | sys.MS_PRIVATE)
        sys.mount(str(source), str(target), "", sys.MS_BIND | sys.MS_REC)
        owners.show_as_owned(str(source), str(target), UID, write=True)
        users.become(UID)
        return act(target)

    return run(inside)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that belongs to somebody, as do its files; and everybody gets that far."""
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder) != "/" and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    made = tmp_path / "place"
    made.mkdir(mode=0o700)
    (made / "file").write_text("text")
    (made / "file").chmod(0o600)
    return made


@as_root
def test_what_is_the_owners_is_the_functions(place: Path) -> None:
    def act(target: Path) -> tuple[str, int, int, int]:
        seen = (target / "file").stat()
        text = (target / "file").read_text()
        (target / "file").write_text("more")
        (target / "new").mkdir()
        (target / "new" / "made").write_text("made")
        return text, seen.st_uid, seen.st_gid, (target / "new").stat().st_uid

    for path in (place, place / "file"):
        os.chown(path, OWNER, GROUP)
    assert shown(place, act) == ("text", UID, UID, UID)
    assert (place / "file").read_text() == "more"
    made = [(path.stat().st_uid, path.stat().st_gid) for path in sorted(place.rglob("*"))]
    assert made == [(OWNER, GROUP)] * 3
    # Nothing was changed for others.
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert owners.ACL not in os.listxattr(place)


@as_root
def test_what_is_not_the_owners_is_nobodys(place: Path) -> None:
    os.chown(place, OWNER, GROUP)
    os.chown(place / "file", OTHER, OTHER)

    def act(target: Path) -> int:
        with pytest.raises(PermissionError):
            (target / "file").read_text()
        return (target / "file").stat().st_uid

    assert shown(place, act) == 65534


@as_root
def test_a_directory_of_roots_does_not_make_root(place: Path) -> None:
    def act(target: Path) -> int:
        (target / "made").write_text("made")
        # Who is root is not known there, or it is not for a function to say.
        with pytest.raises(OSError, match=r"too large|not permitted"):
            os.chown(target / "made", 0, 0)
        return (target / "made").stat().st_uid

    assert shown(place, act) == UID
    assert (place / "made").stat().st_uid == 0


@as_root
def test_a_namespace_for_it_leaves_nothing_behind() -> None:
    def act() -> tuple[int, int]:
        before = len(os.listdir("/proc/self/fd"))
        os.close(owners._user_namespace(OWNER, GROUP, UID))
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return before, len(os.listdir("/proc/self/fd"))

    before, after = run(act)
    assert before == after


@as_root
def test_where_it_cannot_be_shown_so_it_is_let_in(place: Path) -> None:
    """File systems that cannot: the list of the directory itself is changed."""

    def refused(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    def act() -> str:
        owners.sys.mount_setattr = refused
        target = place.parent / "target"
        sys.unshare(sys.CLONE_NEWNS)
        sys.mount("none", "/", "", sys.MS_REC | sys.MS_PRIVATE)
        sys.mount(str(place), str(target), "", sys.MS_BIND | sys.MS_REC)
        owners.show_as_owned(str(place), str(target), UID, write=True)
        users.become(UID)
        (target / "made").write_text("made")
        return ",".join(sorted(os.listdir(target)))

    (place.parent / "target").mkdir()
    os.chown(place, OWNER, GROUP)
    assert run(act) == "file,made"
    assert (USER, UID) in read_acl(place)


def test_a_list_is_made_from_the_mode(place: Path) -> None:
    place.chmod(0o750)
    owners._let_in(str(place), UID)
    assert read_acl(place) == {
        (USER_OBJ, NOBODY): 7,
        (USER, UID): 7,
        (GROUP_OBJ, NOBODY): 5,
        (MASK, NOBODY): 7,
        (OTHERS, NOBODY): 0,
    }


def test_what_is_on_a_list_stays_on_it(place: Path) -> None:
    before = {
        (USER_OBJ, NOBODY): 7,
        (USER, OTHER): 5,
        (GROUP_OBJ, NOBODY): 0,
        (NAMED_GROUP, GROUP): 6,
        (MASK, NOBODY): 7,
        (OTHERS, NOBODY): 1,
    }
    write_acl(place, before)
    for _ in range(2):
        owners._let_in(str(place), UID)
        assert read_acl(place) == {**before, (USER, UID): 7}


def test_nobody_else_gets_more_than_the_mask_let_them(place: Path) -> None:
    rows = {
        (USER_OBJ, NOBODY): 7,
        (USER, OTHER): 7,
        (GROUP_OBJ, NOBODY): 7,
        (NAMED_GROUP, GROUP): 6,
        (MASK, NOBODY): 4,
        (OTHERS, NOBODY): 0,
    }
    write_acl(place, rows)
    owners._let_in(str(place), UID)
    found = read_acl(place)
    assert {key: found[key] for key in rows} == {
        **rows,
        (USER, OTHER): 4,
        (GROUP_OBJ, NOBODY): 4,
        (NAMED_GROUP, GROUP): 4,
        (MASK, NOBODY): 7,
    }
    assert found[USER, UID] == 7


def test_several_functions_share_a_list(place: Path) -> None:
    for user in (UID + 1, UID):
        owners._let_in(str(place), user)
    assert [key for key in read_acl(place) if key[0] == USER] == [(USER, UID), (USER, UID + 1)]
