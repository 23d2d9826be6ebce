"""Loading a function: snapshots by fork, when they are unsafe, whose packages are found."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.project import Project, until

ECHO = "def handler(event, context):\n    return event\n"
# Calls that wait for each other run at once, however slow the machine is.
MEETING = """import os, time
def meet(context, count):
    folder = os.environ["MEET"]
    open(os.path.join(folder, context.aws_request_id), "w").close()
    while len(os.listdir(folder)) < count:
        time.sleep(0.01)
"""
MET = 'timeout_s = 60\nmounts = { MEET = { path = "meet", write = true } }\n'


def test_the_module_is_loaded_once_for_all_instances(project: Project) -> None:
    project.write(
        "app.py",
        f"{MEETING}import random, uuid\nLOADED = time.time_ns()\nrandom.seed(1)\n"
        "def handler(event, context):\n    meet(context, 4)\n"
        "    return {'loaded': LOADED, 'random': random.random(), 'uuid': str(uuid.uuid4())}\n",
    )
    project.write("microfaas.toml", f"[functions.app]\n{MET}")
    seen = _at_once(project, 4)
    assert len({row["loaded"] for row in seen}) == 1
    assert len({row["random"] for row in seen}) == 4
    assert len({row["uuid"] for row in seen}) == 4


@pytest.mark.parametrize(
    "unsafe",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import socket\nKEPT = socket.socketpair()",
        "import os\nKEPT = os.pipe()",
        "import select\nKEPT = select.epoll()",
    ],
)
def test_a_module_that_must_not_be_forked_is_loaded_by_each_instance(
    project: Project, unsafe: str
) -> None:
    project.write(
        "app.py",
        f"{MEETING}{unsafe}\nLOADED = time.time_ns()\n"
        "def handler(event, context):\n    meet(context, 3)\n    return {'loaded': LOADED}\n",
    )
    project.write("microfaas.toml", f"[functions.app]\n{MET}")
    assert len({row["loaded"] for row in _at_once(project, 3)}) == 3


def test_numpy_leaves_a_function_forkable(project: Project) -> None:
    project.write(
        "app.py",
        f"{MEETING}import numpy\nLOADED = time.time_ns()\n"
        "def handler(event, context):\n    meet(context, 3)\n"
        "    return {'loaded': LOADED, 'sum': float(numpy.ones((64, 64)).dot(numpy.ones(64))[0]),"
        " 'random': float(numpy.random.random())}\n",
    )
    project.write("microfaas.toml", f'[functions.app]\ninterpreter = "{sys.executable}"\n{MET}')
    seen = _at_once(project, 3)
    assert len({row["loaded"] for row in seen}) == 1
    assert len({row["random"] for row in seen}) == 3
    assert seen[0]["sum"] == 64.0


def test_the_functions_own_msgpack_wins_and_ours_is_not_seen(project: Project) -> None:
    project.write("with/app.py", "import msgpack\n" + ECHO.replace("event\n", "msgpack.MINE\n"))
    project.write("with/msgpack/__init__.py", "MINE = 'mine'\n")
    project.write("without/app.py", "import msgpack\n" + ECHO)
    project.write(
        "microfaas.toml", '[functions.with]\ncode = "with"\n[functions.without]\ncode = "without"\n'
    )
    project.start()
    assert project.invoke("with") == "mine"
    error = project.fail("without")
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"] == "Unable to import module 'app': No module named 'msgpack'"


def test_what_a_module_leaves_in_tmp_is_in_every_instance(project: Project) -> None:
    project.write(
        "app.py",
        "open('/tmp/model', 'w').write('weights')\n"
        "def handler(event, context):\n    return open('/tmp/model').read()\n",
    )
    project.write("microfaas.toml", '[functions.app]\nisolation = "request"\n')
    project.start()
    assert [project.invoke("app") for _ in range(3)] == ["weights"] * 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import nothing_of_that_name\n", "Runtime.ImportModuleError"),
        ("def handler(:\n", "Runtime.UserCodeSyntaxError"),
        ("def other(): pass\n", "Runtime.HandlerNotFound"),
        ("raise KeyError('at import')\n", "KeyError"),
        ("import sys; sys.exit(4)\n", "Runtime.ExitError"),
        ("x = bytearray(400_000_000)\n", "Runtime.OutOfMemory"),
        ("while True: pass\n", "Sandbox.Timedout"),
    ],
)
def test_a_function_that_cannot_be_loaded_says_why(project: Project, text: str, kind: str) -> None:
    project.write("app.py", text)
    init_timeout_s = 3 if kind == "Sandbox.Timedout" else 60
    project.write("microfaas.toml", f"[functions.app]\ninit_timeout_s = {init_timeout_s}\n")
    project.start()
    assert project.fail("app")["errorType"] == kind
    # The fault may have been a passing one: every call tries again.
    project.write("app.py", ECHO)
    until(lambda: "reloaded" in project.output.read_text() or _works(project), "the mended code")
    assert project.invoke("app", {"a": 1}) == {"a": 1}


def test_a_fresh_process_for_every_request(project: Project) -> None:
    project.write(
        "app.py",
        "CALLS = 0\ndef handler(event, context):\n"
        "    global CALLS\n    CALLS += 1\n    return CALLS\n",
    )
    project.write("microfaas.toml", '[functions.app]\nisolation = "request"\n')
    project.start()
    assert [project.invoke("app") for _ in range(5)] == [1] * 5


def test_idle_instances_and_zygotes_are_stopped(project: Project) -> None:
    project.write("app.py", ECHO)
    project.write("microfaas.toml", "[functions.app]\nidle_s_max = 0.2\n")
    project.start()
    project.invoke("app")
    until(
        lambda: (
            not project.functions()["app"]["instances"]
            and not project.functions()["app"]["zygote_pid"]
        ),
        "scaling to zero",
    )
    assert project.invoke("app", 1) == 1


def test_a_bare_file_needs_no_configuration(project: Project, tmp_path: Path) -> None:
    project.write("mine.py", "def hello(event, context):\n    return 'hello'\n")
    project.start("--data", str(tmp_path / "data"), path="mine.py:hello")
    assert project.invoke("mine") == "hello"


def _works(project: Project) -> bool:
    return "FunctionError" not in project.lambda_client().invoke(FunctionName="app")


def _at_once(project: Project, count: int) -> list[dict[str, object]]:
    """What calls of `app` see that run at once."""
    (project.root / "meet").mkdir()
    project.start()
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: project.invoke("app"), range(count)))
