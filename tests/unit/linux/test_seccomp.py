"""The filters of system calls: the programs, and a process that is held to them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import socket
import subprocess
import sys as python
import tempfile
import threading
from collections.abc import Callable

import pyseccomp
import pytest
from child import end_of, give_up_privileges, run

from microfaas.linux import seccomp
from microfaas.linux import syscalls as sys

INSTRUCTION_BYTES = 8
INSTRUCTIONS_MAX = 4096  # the kernel's
NETLINK_USERSOCK, NETLINK_XFRM, NETLINK_NETFILTER = 2, 6, 12
ALLOWED, REFUSED = seccomp.ALLOWED.split(), seccomp.REFUSED.split()
ARCHITECTURES = ("X86_64", "X86", "AARCH64", "ARM", "RISCV64")
# Than libseccomp 2.5; without a number they do not exist for a function.
NEWER = {"listmount", "mseal", "riscv_hwprobe", "statmount"}
_libc = ctypes.CDLL(None, use_errno=True)


def held(act: Callable[[], object]) -> object:
    """What comes of it in a child that has the filters; the name of its error."""
    programs = seccomp.programs()

    def confined() -> object:
        give_up_privileges()
        seccomp.load(programs)
        try:
            return act()
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    return run(confined)


def call(name: str, *arguments: object) -> int:
    """A system call by the name that libseccomp has for it."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    assert number >= 0
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def test_programs_are_ones_that_the_kernel_takes() -> None:
    for program in seccomp.programs():
        assert len(program) % INSTRUCTION_BYTES == 0
        assert 0 < len(program) // INSTRUCTION_BYTES <= INSTRUCTIONS_MAX


def test_every_name_is_a_call_of_some_machine() -> None:
    """libseccomp has a number for each, a negative one where other machines have the call."""
    architectures = [getattr(pyseccomp.Arch, name) for name in ARCHITECTURES]
    names = [*ALLOWED, *REFUSED, "personality"]
    numbers = {name: {pyseccomp.resolve_syscall(a, name) for a in architectures} for name in names}
    assert {name for name in names if numbers[name] == {-1}} <= NEWER


def test_no_name_is_listed_twice() -> None:
    names = [*ALLOWED, *REFUSED]
    assert len(set(names)) == len(names)
    assert "clone3" not in names


def test_what_is_not_listed_does_not_exist() -> None:
    # Programs then fall back: the C library from clone3 to clone.
    assert held(lambda: call("clone3", bytes(88), 88)) == "ENOSYS"
    assert held(lambda: _libc.syscall(ctypes.c_long(5000)) or ctypes.get_errno()) == -1
    assert held(lambda: call("personality", 0x0040000)) == "ENOSYS"


@pytest.mark.parametrize("persona", [p for p in seccomp.PERSONALITIES if p != 0x20000])
def test_personalities_that_builds_ask_for_are_allowed(persona: int) -> None:
    assert held(lambda: call("personality", persona)) == 0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ptrace", (0, 0, 0, 0)),
        ("mount", (b"none", b"/tmp", b"tmpfs", 0, None)),
        ("unshare", (sys.CLONE_NEWUSER,)),
        ("bpf", (0, bytes(64), 64)),
        ("io_uring_setup", (8, bytes(120))),
        ("keyctl", (0, -3, 0)),
        ("chroot", (b"/",)),
        ("clone", (sys.CLONE_NEWUSER | signal.SIGCHLD, None, 0, 0, 0)),
        ("clone", (sys.CLONE_NEWNET | signal.SIGCHLD, None, 0, 0, 0)),
        ("ioctl", (0, 0x5412, b"x")),
        ("ioctl", (0, 0x5412 | 1 << 32, b"x")),
        ("mknodat", (-100, b"/tmp/x", 0o60600, 0)),
        ("mknodat", (-100, b"/tmp/x", 0o20600, 0)),
    ],
)
def test_what_is_refused_is_not_permitted(name: str, arguments: tuple[object, ...]) -> None:
    assert held(lambda: call(name, *arguments)) == "EPERM"


@pytest.mark.parametrize(
    "kind",
    [
        (socket.AF_PACKET, socket.SOCK_RAW, 0),
        (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
        (socket.AF_ALG, socket.SOCK_SEQPACKET, 0),
        (socket.AF_CAN, socket.SOCK_RAW, 1),
        (socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_USERSOCK),
        (socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM),
        (socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER),
        (200, socket.SOCK_STREAM, 0),
    ],
)
def test_other_kinds_of_sockets_are_unknown(kind: tuple[int, int, int]) -> None:
    assert held(lambda: socket.socket(*kind).close()) == "EAFNOSUPPORT"


def test_what_programs_need_works() -> None:
    def act() -> str:
        for kind in ((socket.AF_INET, 1, 0), (socket.AF_INET6, 1, 0), (socket.AF_UNIX, 1, 0)):
            socket.socket(*kind).close()
        for protocol in seccomp.NETLINK:
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol).close()
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/fifo")
            os.symlink("fifo", f"{folder}/link")
            os.rename(f"{folder}/link", f"{folder}/other")
        assert socket.getaddrinfo("localhost", 80)
        return "worked"

    assert held(act) == "worked"


def test_threads_and_programs_can_be_started() -> None:
    def act() -> object:
        said: list[str] = []
        threads = [threading.Thread(target=said.append, args=["thread"]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        argv = [python.executable, "-S", "-c", "import os; os.fork() or print(1)"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return said, done.stdout

    assert held(act) == (["thread"] * 4, "1\n")


def test_filters_stay_for_children() -> None:
    script = "import ctypes; l = ctypes.CDLL(None, use_errno=True); l.unshare(0x10000000);"
    script += "print(ctypes.get_errno())"

    def act() -> str:
        argv = [python.executable, "-S", "-c", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert held(act) == f"{errno.EPERM}\n"


def test_filters_need_a_process_that_gains_no_privileges() -> None:
    def act() -> None:
        from microfaas.linux import capabilities

        capabilities.drop()
        with pytest.raises(PermissionError):
            seccomp.load(seccomp.programs())

    run(act)


def _of_another_architecture() -> None:
    give_up_privileges()
    seccomp.load(seccomp.programs())
    # The mark of x32 in the number: another table of calls.
    _libc.syscall(ctypes.c_long(0x40000000 | 39))


if platform.machine() == "x86_64":

    def test_calls_of_another_architecture_end_the_process() -> None:
        assert end_of(_of_another_architecture) == -signal.SIGSYS


def test_without_the_library_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "pyseccomp":
                raise RuntimeError("Unable to find libseccomp")

    monkeypatch.delitem(python.modules, "pyseccomp")
    monkeypatch.setattr(python, "meta_path", [Missing(), *python.meta_path])
    with pytest.raises(OSError, match="libseccomp"):
        seccomp.programs()


def test_this_kernel_has_filters() -> None:
    assert seccomp.supported()
