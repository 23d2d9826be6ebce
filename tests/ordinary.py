"""Running Python as an ordinary user, whoever runs the tests.

The user must be able to run the interpreter: root's own, below /root, will not do. A virtual
environment of Debian's interpreter that borrows the packages of ours does.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
USER = "nobody"
SYSTEM_PYTHON = "/usr/bin/python3"


def user() -> pwd.struct_passwd:
    return pwd.getpwnam(USER)


def environment(folder: Path) -> Path:
    """A virtual environment in `folder` that the user can run; its `bin` folder."""
    ours = "{}.{}".format(*sys.version_info)
    asked = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip() == ours, f"these tests need {SYSTEM_PYTHON} to be Python {ours}"
    made = folder / "environment"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", made], check=True)
    packages = made / "lib" / f"python{ours}" / "site-packages"
    (packages / "ours.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    script = made / "bin" / "microfaas"
    script.write_text(f"#!{made}/bin/python\nfrom microfaas.cli import main\nmain()\n")
    script.chmod(0o755)
    return made / "bin"


def give(folder: Path) -> None:
    """Make everything in a folder the user's."""
    who = user()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)


def command(*argv: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """A command that is run as the user when we are root, in a cgroup of the user's own.

    On a machine without cgroup v2 there is none to be had.
    """
    if os.geteuid() != 0:
        return [*argv]
    who = user()
    delegated = _delegate(who)
    join = ["sh", "-c", f'echo $$ >{delegated}/cgroup.procs; exec "$@"', "sh"] if delegated else []
    return [
        *join,
        "setpriv",
        f"--reuid={who.pw_uid}",
        f"--regid={who.pw_gid}",
        "--clear-groups",
        "env",
        "HOME=/tmp",
        *argv,
    ]


def _delegate(who: pwd.struct_passwd) -> Path | None:
    """What systemd's Delegate=yes does: a group whose files are the user's."""
    top = Path("/sys/fs/cgroup")
    if not (top / "cgroup.controllers").exists():
        return None
    (top / "cgroup.subtree_control").write_text("+cpu +memory +pids")
    group = top / f"delegated-{os.getpid()}"
    group.mkdir(exist_ok=True)
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        os.chown(group / name, who.pw_uid, who.pw_gid)
    return group
