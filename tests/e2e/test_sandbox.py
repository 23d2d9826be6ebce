"""The sandbox as a user meets it: networks, mounts, secrets, devices, /tmp, shares, and its death.

Where the tests run as root, all is tried as root and as an ordinary user. Nothing connects to
anything outside this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import psutil
import pytest

from microfaas.linux.cgroup import tree_name
from microfaas.linux.isolation import LAYERS
from tests import ordinary
from tests.e2e.project import BIN, Project, until
from tests.e2e.test_tls import TLS, certify

HANDLERS = Path(__file__).with_name("reaching.py")
ROOT = os.geteuid() == 0
WHO = ["root", "user"] if ROOT else ["user"]
REFUSED = ("ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH")
# Any owner but those that run things.
OWNER = 4321
SECRETS = {
    "FILE_SECRET": "mark-of-a-secret-in-a-file",
    "STORED_SECRET": "mark-of-a-secret-that-is-stored",
    "ENV_SECRET": "mark-of-a-secret-in-the-environment",
}
KINDS = ("host", "loopback", "none", "list")
COLD_STARTS = 200
# For so long nothing changes before it is taken to be at rest.
SETTLED_S = 1.0


def as_root(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test that nobody but root can make; for others there is none."""
    return test if ROOT else None


class Echo(socketserver.ThreadingTCPServer):
    """Says what it hears, on every address of the machine."""

    daemon_threads = True

    class _Back(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                while data := self.request.recv(1 << 16):
                    self.request.sendall(data)

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), self._Back)
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


def machine_address() -> str | None:
    """One of the machine's own that is not its loopback."""
    for rows in psutil.net_if_addrs().values():
        for row in rows:
            if row.family == socket.AF_INET and not row.address.startswith("127."):
                return row.address
    return None


class Served:
    """A server run by somebody, with its project."""

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        self.folder = folder
        self.bin = ordinary.environment(folder) if who == "user" else BIN
        (folder / "project").mkdir()
        self.project = Project(folder / "project")
        shutil.copy(HANDLERS, self.project.root / "app.py")

    def start(self, config: str) -> None:
        self.project.write("microfaas.toml", config)
        if self.who == "user" and ROOT:
            for path in (self.project.root, *self.project.root.rglob("*")):
                if path.lstat().st_uid == 0:
                    os.chown(path, ordinary.user().pw_uid, ordinary.user().pw_gid)
        self.project.start(command=self.command())

    def command(self, *arguments: str) -> list[Any]:
        argv = [self.bin / "microfaas", *arguments]
        return ordinary.command(*argv) if self.who == "user" else argv

    def cli(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command in the project as who serves it."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.project.root,
            input=stdin,
            capture_output=True,
            env={**os.environ, "MICROFAAS_ENDPOINT_URL": self.project.url},
            check=True,
        )
        return done.stdout

    def enforced(self, facility: str) -> bool:
        rows = json.loads(self.cli("doctor", "--json"))["facilities"]
        return bool({row["name"]: row["state"] for row in rows}[facility] == "enforced")

    def stop(self) -> None:
        assert self.project.stop() == 0, self.project.output.read_text()
        assert "Traceback" not in self.project.output.read_text()

    def processes(self) -> list[psutil.Process]:
        """The server, and all that it has started."""
        assert self.project.process is not None
        server = psutil.Process(self.project.process.pid)
        return [server, *server.children(recursive=True)]


@contextlib.contextmanager
def served_by(who: str) -> Iterator[Served]:
    """Somebody's server, to be started; it is ended whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="microfaas-sandbox-"))
    folder.chmod(0o755)
    made = Served(folder, who)
    try:
        yield made
        made.stop()
    finally:
        if made.project.process is not None and made.project.process.poll() is None:
            made.project.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=WHO)
def who(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def function(name: str, handler: str, *lines: str) -> str:
    return "\n".join([f"[functions.{name}]", f'handler = "app.{handler}"', *lines, ""])


# Networks.


class Networks:
    """A server whose functions differ in what they may reach, and two services of the machine."""

    def __init__(self, served: Served, listed: Echo, other: Echo) -> None:
        self.served = served
        self.invoke = served.project.invoke
        self.listed, self.other = listed.port, other.port
        self.address = machine_address()
        self.port = int(served.project.url.rpartition(":")[2])

    def connect(self, kind: str, *places: tuple[str, int]) -> list[str]:
        found: list[str] = self.invoke(f"connect-{kind}", {"to": places})
        return found


def _networks(listed: int) -> str:
    address = machine_address()
    allowed = [f"localhost:{listed}", *([f"{address}:{listed}"] if address else [])]
    tables = {
        "host": '"host"', "loopback": '"loopback"', "none": '"none"',
        "list": json.dumps(allowed), "cut": '"loopback"', "nothing": '"none"',
        # One socket has every address of the port; packets of every port are redirected.
        "block": json.dumps([f"192.0.0.0/2:{listed}"]),
        "half": json.dumps([f"0.0.0.0/1:{listed}", "0.0.0.0/1"]),
        "whole": json.dumps([f"{address or '192.0.2.1'}/32"]),
    }  # fmt: skip
    made = []
    for kind, value in tables.items():
        lines = [f"network = {value}", "timeout_s = 60", "memory_mb = 256", "init_timeout_s = 60"]
        if kind in ("cut", "nothing"):
            lines.append("endpoint = false")
        for handler in ("connect", "carry", "own"):
            made.append(function(f"{handler}-{kind}", handler, *lines))
        # The tests' own interpreter has boto3; an ordinary user may be kept from it.
        python = [f"interpreter = {json.dumps(sys.executable)}"] if ROOT else []
        made.append(function(f"call-{kind}", "call", *lines, *python))
    return "".join([*made, function("echo", "echo")])


@pytest.fixture(scope="module")
def networks(who: str) -> Iterator[Networks]:
    with Echo() as listed, Echo() as other, served_by(who) as served:
        config = _networks(listed.port)
        if who == "user":
            config = config.replace(f"interpreter = {json.dumps(sys.executable)}", "")
        served.start(config)
        yield Networks(served, listed, other)
        for one in (listed, other):
            one.shutdown()


def test_host_reaches_what_the_machine_does(networks: Networks) -> None:
    places = [("localhost", networks.listed), ("127.0.0.1", networks.other)]
    assert networks.connect("host", *places) == ["hello", "hello"]


@pytest.mark.parametrize("kind", ["loopback", "none", "cut", "nothing"])
def test_a_network_of_its_own_leads_nowhere(networks: Networks, kind: str) -> None:
    hosts = ["localhost", "127.0.0.1", *([networks.address] if networks.address else [])]
    places = [(host, port) for host in hosts for port in (networks.listed, networks.other)]
    assert set(networks.connect(kind, *places)) <= set(REFUSED)


def test_a_list_leads_where_it_says_and_nowhere_else(networks: Networks) -> None:
    hosts = ["localhost", *([networks.address] if networks.address else [])]
    there = [(host, networks.listed) for host in hosts]
    assert networks.connect("list", *there) == ["hello"] * len(there)
    # Services of the machine, on its own addresses: one port is listed, and one is not.
    refused = [(host, networks.other) for host in [*hosts, "127.0.0.1", "127.0.0.2"]]
    refused.append(("127.0.0.2", networks.listed))
    assert set(networks.connect("list", *refused)) <= set(REFUSED)


def test_a_wide_block_does_not_include_the_machine_itself(networks: Networks) -> None:
    refused = [(host, networks.listed) for host in ("localhost", "127.0.0.1", "127.0.0.2")]
    assert set(networks.connect("block", *refused)) <= set(REFUSED)
    assert set(networks.connect("half", *refused)) <= set(REFUSED)
    if networks.address:
        assert networks.connect("block", (networks.address, networks.other))[0] in REFUSED


if machine_address():

    def test_every_port_of_an_address(networks: Networks) -> None:
        places = [(networks.address or "", port) for port in (networks.listed, networks.other)]
        assert networks.connect("whole", *places) == ["hello", "hello"]
        places = [("127.0.0.1", port) for port in (networks.listed, networks.other)]
        assert set(networks.connect("whole", *places)) <= set(REFUSED)


@pytest.mark.parametrize("kind", ["host", "loopback", "list", "cut", "none"])
def test_what_listens_inside_is_found_inside(networks: Networks, kind: str) -> None:
    assert networks.invoke(f"own-{kind}") == "heard"


@pytest.mark.parametrize("kind", [*KINDS, "block", "half", "whole"])
def test_another_function_is_called_through_the_endpoint(networks: Networks, kind: str) -> None:
    by, answer = networks.invoke(f"call-{kind}", {"name": "echo"})
    assert answer == {"from": f"call-{kind}"}
    assert by == ("boto3" if networks.served.who == "root" else "http")


@pytest.mark.parametrize("kind", ["cut", "nothing"])
def test_without_an_endpoint_there_is_none(networks: Networks, kind: str) -> None:
    assert networks.connect(kind, ("127.0.0.1", networks.port))[0] in REFUSED


def test_much_passes_whole_through_a_relay(networks: Networks) -> None:
    event = {"host": "localhost", "port": networks.listed, "mb": 24}
    assert networks.invoke("carry-list", event) is True


def test_many_connections_at_once(networks: Networks) -> None:
    places = [("localhost", networks.listed)] * 200
    assert networks.connect("list", *places) == ["hello"] * 200


def test_over_tls_functions_find_the_gateway_but_not_its_key(project: Project) -> None:
    """They know no certificate, and a relay may stand between."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shutil.copy(HANDLERS, project.root / "app.py")
    app = function("app", "call", f'network = ["192.0.0.0/2:{port}"]')
    project.write(
        "microfaas.toml", TLS + app + function("echo", "echo") + function("look", "files")
    )
    certify(project.root / "tls", "first")
    project.ca = str(project.root / "tls/cert.pem")
    project.start("--listen", f"127.0.0.1:{port}")
    assert project.invoke("app", {"name": "echo"}) == ["http", {"from": "app"}]
    assert project.invoke("look", {"path": "/var/task/tls"})["text"] == ["cert.pem"]


# Mounts, secrets, devices and /tmp.

_LOADED = 'environment = { LOADED = "/tmp/loaded" }'
_MEETING = 'mounts = { MEET = { path = "meet", write = true } }'
_REST = "\n".join(
    [
        function(
            "mounts",
            "files",
            "mounts = { IN = { path = 'in' }, OUT = { path = 'out', write = true } }",
        ),
        function(
            "secrets",
            "secret",
            "[functions.secrets.secrets]",
            "FILE_SECRET = { file = 'secret' }",
            "STORED_SECRET = { stored = 'kept' }",
            "ENV_SECRET = { stored = 'known', as = 'environment' }",
        ),
        function("stranger", "secret"),
        function("look", "files"),
        function("fill", "fill", "tmp_mb = 4"),
        function("tmp", "tmp", "concurrency_max = 2", "timeout_s = 60", _LOADED, _MEETING),
        function("fresh", "tmp", 'isolation = "request"', _LOADED),
        function("half", "spin", "cpu = 0.5", "timeout_s = 30"),
        function("share", "spin", 'cpu = "memory"', "memory_mb = 442", "timeout_s = 30"),
        function("swap", "pid", "swap_mb = 64", "memory_mb = 64"),
    ]
)


@pytest.fixture(scope="module")
def rest(who: str) -> Iterator[Served]:
    with served_by(who) as served:
        project = served.project
        (project.root / "meet").mkdir()
        for name in ("in", "out"):
            project.write(f"{name}/theirs", "text").chmod(0o600)
            (project.root / name).chmod(0o700)
            if who == "root":
                for path in (project.root / name, project.root / name / "theirs"):
                    os.chown(path, OWNER, OWNER)
        project.write("secret", SECRETS["FILE_SECRET"]).chmod(0o600)
        if who == "user" and ROOT:
            ordinary.give(project.root)
        for name, secret in (("kept", "STORED_SECRET"), ("known", "ENV_SECRET")):
            served.cli("secrets", "set", name, stdin=SECRETS[secret].encode())
        served.start(_REST)
        yield served


def test_a_mount_is_its_owners_on_disk_and_the_functions_inside(rest: Served) -> None:
    invoke, out = rest.project.invoke, rest.project.root / "out"
    seen = invoke("mounts", {"path": "/mnt/OUT/theirs"})
    assert seen == {"mode": 0o600, "mine": True, "text": "text"}
    assert invoke("mounts", {"path": "/mnt/OUT/theirs", "write": "changed"}) == "written"
    assert invoke("mounts", {"path": "/mnt/OUT/made", "write": "made"}) == "written"
    assert (out / "theirs").read_text() == "changed"
    assert (out / "made").stat().st_uid == out.stat().st_uid
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_a_read_only_mount_is_read_only(rest: Served) -> None:
    invoke = rest.project.invoke
    assert invoke("mounts", {"path": "/mnt/IN/theirs"})["text"] == "text"
    for name in ("theirs", "made"):
        assert invoke("mounts", {"path": f"/mnt/IN/{name}", "write": "x"}) in ("EROFS", "EACCES")
    assert sorted(os.listdir(rest.project.root / "in")) == ["theirs"]


def test_a_mount_is_not_there_for_others(rest: Served) -> None:
    assert rest.project.invoke("look", {"path": "/mnt/OUT"}) == "ENOENT"


@pytest.mark.parametrize("name", ["FILE_SECRET", "STORED_SECRET"])
def test_a_secret_is_a_file_that_only_the_function_can_read(rest: Served, name: str) -> None:
    seen = rest.project.invoke("secrets", {"name": name})
    assert seen["variable"] == f"/run/secrets/{name}"
    assert seen["file"] == {"mode": 0o400, "mine": True, "text": SECRETS[name]}
    assert rest.project.invoke("look", {"path": seen["variable"]}) == "ENOENT"
    assert rest.project.invoke("stranger", {"name": name})["variable"] is None


def test_a_secret_may_be_in_the_environment(rest: Served) -> None:
    seen = rest.project.invoke("secrets", {"name": "ENV_SECRET"})
    assert seen == {"variable": SECRETS["ENV_SECRET"], "file": "ENOENT"}


def test_secrets_are_nowhere_else(rest: Served) -> None:
    """Not in what is told, written or shown: but for the file that one comes from."""
    for name in SECRETS:
        rest.project.invoke("secrets", {"name": name})
    told = [rest.cli("list", "--json"), rest.cli("secrets", "list"), rest.cli("doctor", "--json")]
    told.append(rest.project.output.read_bytes())
    told += [path.read_bytes() for path in rest.project.data.rglob("*") if path.is_file()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            told.append(path.read_bytes())
    marks = [value.encode() for value in SECRETS.values()]
    assert [text for text in told if any(mark in text for mark in marks)] == []


def test_tmp_is_full_where_it_was_to_be(rest: Served) -> None:
    written, why = rest.project.invoke("fill", {"mb": 16})
    assert why == "ENOSPC"
    assert 2 <= written <= 4
    # What was removed is free again.
    assert rest.project.invoke("fill", {"mb": 2}) == [2, ""]


def test_tmp_is_of_one_instance_and_has_what_loading_left(rest: Served) -> None:
    for _ in range(3):
        assert rest.project.invoke("fresh") == ["loaded"]
    found: list[Any] = []
    calls = [
        threading.Thread(target=lambda: found.append(rest.project.invoke("tmp", {"meets": 2})))
        for _ in range(2)
    ]
    for one in calls:
        one.start()
    for one in calls:
        one.join()
    # Both ran at once, and whoever comes next meets what the instance left itself.
    assert found == [["loaded"], ["loaded"]]
    assert rest.project.invoke("tmp") == ["loaded", "mine-1"]


@pytest.mark.parametrize(("name", "cap"), [("half", 0.5), ("share", 442 / 1769)])
def test_computing_is_capped(rest: Served, name: str, cap: float) -> None:
    if not rest.enforced("cpu"):
        assert "cpu is off" in rest.project.output.read_text()
        return
    # The kernel shares out tenths of a second: the first one may be had whole.
    assert 0 < rest.project.invoke(name, {"s": 1.5}) < cap + 0.2


def test_swap_counts_beyond_memory(rest: Served) -> None:
    """As the kernel was told: this machine may have none."""
    rest.project.invoke("swap")
    if "memory is only sampled" in rest.project.output.read_text():
        return
    (instance, *_) = rest.project.functions()["swap"]["instances"]
    limits = {
        "memory.swap.max": (64 << 20, 64 << 20),
        "memory.memsw.limit_in_bytes": (64 << 20, 128 << 20),
    }
    for path in _group_files(instance["pid"], limits):
        low, high = limits[path.name]
        # What is shared with the zygote is on its account.
        assert low <= int(path.read_text()) <= high


def _group_files(pid: int, names: Any) -> list[Path]:
    """Those files of a process's memory cgroup that there are."""
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds in ("", "memory"):
            place = Path("/sys/fs/cgroup") / kinds / path.lstrip("/")
            found += [place / name for name in names if (place / name).exists()]
    return found


@as_root
def test_a_device_is_there_only_when_it_is_listed() -> None:
    path = Path(f"/dev/microfaas-test-{os.getpid()}")
    try:
        # Another /dev/zero, which nobody but root may open.
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        with served_by("root") as served:
            listed = function("listed", "device", f"devices = [{json.dumps(str(path))}]")
            served.start(listed + function("stranger", "device"))
            event = {"path": str(path)}
            assert served.project.invoke("listed", event) == "00000000"
            assert served.project.invoke("stranger", event) == "ENOENT"
            assert served.project.invoke("stranger", {"path": "/dev/zero"}) == "00000000"
            assert served.project.invoke("listed", {"path": "/dev/kmsg"}) == "ENOENT"
    finally:
        path.unlink(missing_ok=True)


# Layers that are off, and processes that die.


@pytest.mark.parametrize("off", [*([layer] for layer in LAYERS), [*LAYERS]])
def test_without_a_layer_functions_run_and_that_is_told(who: str, off: list[str]) -> None:
    with served_by(who) as served:
        served.start(
            f"sandbox_off = {json.dumps(off)}\n"
            + function("warm", "echo")
            + function("cold", "echo", 'isolation = "request"')
        )
        for name in ("warm", "cold", "cold"):
            assert served.project.invoke(name, {"a": 1}) == {"a": 1}
        told = served.project.output.read_text()
        assert "turned off by sandbox_off" in told
        assert "remove it from sandbox_off" in told


def test_without_cells_a_network_and_its_zygote_last(who: str) -> None:
    """The warden then ends when it has set up the network."""
    with served_by(who) as served:
        app = function("app", "echo", 'network = "loopback"', 'isolation = "request"')
        served.start(f'sandbox_off = ["cells"]\n{app}')
        zygotes = set()
        for _ in range(5):
            assert served.project.invoke("app", {"a": 1}) == {"a": 1}
            zygotes.add(served.project.functions()["app"]["zygote_pid"])
        assert len(zygotes) == 1


@pytest.fixture
def fresh(who: str) -> Iterator[Served]:
    """A server that makes a cell for each call."""
    with served_by(who) as served:
        served.start(function("app", "pid", 'isolation = "request"', "timeout_s = 20"))
        served.project.invoke("app")
        yield served


def _wardens(served: Served) -> list[psutil.Process]:
    """The nursery's children that are as it is: they execute nothing."""
    found = []
    for process in served.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = process.parent()
            argv = process.cmdline()
            if "microfaas.linux.nursery" in argv and parent and parent.cmdline() == argv:
                found.append(process)
    return found


def test_a_killed_warden_is_made_up_for(fresh: Served) -> None:
    (warden,) = _wardens(fresh)
    if fresh.who == "root":
        assert warden.uids().real != 0
    warden.kill()
    outcomes = [_outcome(fresh) for _ in range(5)]
    # One that was under way may fail, and says why.
    assert set(outcomes) <= {"ok", "ServiceException", "Runtime.ExitError"}
    until(lambda: _outcome(fresh) == "ok", "the next zygote to serve")
    assert [_outcome(fresh) for _ in range(5)] == ["ok"] * 5
    assert warden.pid not in [one.pid for one in _wardens(fresh)]


def _outcome(served: Served) -> str:
    try:
        reply = served.project.lambda_client().invoke(FunctionName="app", Payload=b"{}")
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    payload = json.loads(reply["Payload"].read())
    return str(payload["errorType"]) if "FunctionError" in reply else "ok"


def _taken(served: Served) -> dict[str, Any]:
    """What the server and its processes have of the machine."""
    processes = served.processes()
    namespaces = set()
    for process in processes:
        for path in Path(f"/proc/{process.pid}/ns").iterdir():
            with contextlib.suppress(OSError):
                namespaces.add(os.readlink(path))
    name = tree_name(str(served.project.data))
    return {
        "processes": len(processes),
        "open files": [len(os.listdir(f"/proc/{one.pid}/fd")) for one in processes],
        "mounts": [_lines(f"/proc/{one.pid}/mountinfo") for one in processes],
        "namespaces": len(namespaces),
        "groups": sum(1 for _ in Path("/sys/fs/cgroup").glob(f"**/{name}/**/")),
        "staging": sorted(os.listdir(served.project.data)),
        "machine's mounts": _lines("/proc/self/mountinfo"),
    }


def _lines(path: str) -> int:
    with open(path) as file:
        return sum(1 for _ in file)


def _settled(served: Served) -> dict[str, Any]:
    """The same for a while: nothing is being started or removed."""
    taken: dict[str, Any] = {}
    since_s = 0.0

    def same() -> bool:
        nonlocal taken, since_s
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            now = _taken(served)
            if now != taken:
                taken, since_s = now, time.monotonic()
            return time.monotonic() - since_s > SETTLED_S
        return False

    until(same, "the server to settle")
    return taken


def test_nothing_is_left_of_many_cold_starts(fresh: Served) -> None:
    for _ in range(10):  # what is made once
        fresh.project.invoke("app")
    before = _settled(fresh)
    client = fresh.project.lambda_client()
    for _ in range(COLD_STARTS):
        assert "FunctionError" not in client.invoke(FunctionName="app", Payload=b"{}")
    after: list[dict[str, Any]] = []

    def as_before() -> bool:
        after.append(_settled(fresh))
        return after[-1] == before

    try:
        until(as_before, "everything to be as before")
    except AssertionError:
        assert after[-1] == before
        raise


def test_a_function_does_not_see_the_configuration_of_others(who: str) -> None:
    """The folder of the project is the code of both, and its file has both environments in it."""
    with served_by(who) as served:
        served.start(
            function("look", "files") + function("other", "echo", 'environment = { A = "hidden" }')
        )
        (code,) = (served.project.data / "code").iterdir()
        assert "app.py" in [path.name for path in code.iterdir()]
        assert served.project.invoke("look", {"path": "/var/task/microfaas.toml"}) == "ENOENT"
