"""A server with a hostile function and a victim, run as root or as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import ordinary
from tests.e2e.project import BIN, Project

HERE = Path(__file__).parent
MARK = "mark-of-the-victim"
LEAKED = "MICROFAAS_TEST_LEAK"
VICTIM = f"""import os, time
MARK = "{MARK}"
open("/tmp/victim", "w").write(MARK)
def handler(event, context):
    open("/tmp/victim2", "w").write(MARK)
    time.sleep(event.get("s", 0))
    return os.getpid()
"""
CONFIG = f"""
[functions.hostile]
handler = "hostile.handler"
code = "hostile"
memory_mb = 64
timeout_s = 6
processes_max = 32
files_max = 256
tmp_mb = 32
concurrency_max = 2
output_mb_max = 1

[functions.fresh]
handler = "hostile.handler"
code = "hostile"
timeout_s = 60
isolation = "request"

[functions.victim]
code = "victim"
timeout_s = 60
environment = {{ MARK = "{MARK}" }}
secrets = {{ SECRET = {{ file = "secret" }} }}
"""
EVIL = """
[functions.{mode}]
handler = "evil_init.handler"
code = "hostile"
memory_mb = 64
processes_max = 32
init_timeout_s = {init_timeout_s}
ready_ahead = 0
isolation = "request"
environment = {{ MODE = "{mode}" }}
"""
EVIL_MODES = (
    "flood_control", "lie_about_forks", "claim_to_be_ready", "leave_links", "hang", "exit", "bomb",
    "eat", "evade", "leave_daemons",
)  # fmt: skip


def _evil(mode: str) -> str:
    """A function that attacks while it is loaded, for as long as it is let unless it loads."""
    init_timeout_s = 60 if mode.startswith("leave_") else 2
    return EVIL.format(mode=mode, init_timeout_s=init_timeout_s)


class World:
    """The server, the machine as it sees it, and what an attacker would like to reach."""

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        self.folder = folder
        root = folder / "project"
        root.mkdir()
        self.project = Project(root)
        self.bin: Path | None = None
        if who == "user":
            self.bin = ordinary.environment(folder)
        for name in ("hostile", "calls", "msgpack_free", "evil_init"):
            (root / "hostile").mkdir(exist_ok=True)
            shutil.copy(HERE / f"{name}.py", root / "hostile")
        self.project.write("victim/app.py", VICTIM)
        self.project.write("secret", MARK).chmod(0o600)
        evil = "".join(_evil(mode) for mode in EVIL_MODES)
        self.project.write("microfaas.toml", CONFIG + evil)
        self.listener = socket.socket(socket.AF_UNIX)
        self.path_socket = str(folder / "service.sock")
        self.listener.bind(self.path_socket)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract_name = f"microfaas-test-{os.getpid()}-{who}"
        self.abstract.bind(f"\0{self.abstract_name}")
        for one in (self.listener, self.abstract):
            one.listen()
        os.chmod(self.path_socket, 0o777)
        if who == "user" and os.geteuid() == 0:
            ordinary.give(root)

    def start(self) -> None:
        os.environ[LEAKED] = MARK
        command = [self.bin / "microfaas"] if self.bin else None
        self.project.start(command=command and ordinary.command(*command))
        self.facilities = self._facilities()

    def close(self) -> None:
        self.listener.close()
        self.abstract.close()

    def attack(self, name: str, /, **event: Any) -> Any:
        """What the attack gives back; the function must survive it."""
        return self.project.invoke("hostile", {"attack": name, **event})

    def enforced(self, facility: str) -> bool:
        return self.facilities[facility] == "enforced"

    def check_others(self) -> None:
        """The victim serves as if nothing were."""
        assert isinstance(self.project.invoke("victim"), int)

    def pids(self) -> list[int]:
        """The server, its nursery and the victim's, as the machine numbers them."""
        row = self.project.functions()["victim"]
        assert self.project.process is not None
        own = [instance["pid"] for instance in row["instances"]]
        return [self.project.process.pid, row["zygote_pid"], *own]

    def _facilities(self) -> dict[str, str]:
        argv = [(self.bin or BIN) / "microfaas", "doctor", "--json"]
        argv = ordinary.command(*argv) if self.who == "user" else argv
        done = subprocess.run(argv, capture_output=True, check=True)
        return {row["name"]: row["state"] for row in json.loads(done.stdout)["facilities"]}


@contextmanager
def world(who: str) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="microfaas-attacks-"))
    folder.chmod(0o755)
    made = World(folder, who)
    try:
        made.start()
        yield made
        assert made.project.stop() == 0
        assert "Traceback" not in made.project.output.read_text()
    finally:
        if made.project.process is not None and made.project.process.poll() is None:
            made.project.kill()
        made.close()
        shutil.rmtree(folder)
