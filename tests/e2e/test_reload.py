"""Editing a function while it serves."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.project import Project, until


@pytest.fixture
def served(project: Project) -> Project:
    project.write("app.py", _app("one"))
    (project.root / "gate").mkdir()
    project.write(
        "microfaas.toml",
        '[functions.app]\ntimeout_s = 120\nmounts = { GATE = { path = "gate" } }\n',
    )
    project.start()
    assert project.invoke("app") == "one"
    return project


def test_an_edit_is_served_and_what_runs_finishes_on_the_old_code(served: Project) -> None:
    results: list[str] = []
    running = threading.Thread(target=lambda: results.append(served.invoke("app", {"wait": True})))
    running.start()
    until(lambda: any(i["state"] == "busy" for i in _instances(served)), "the call to run")
    served.write("app.py", _app("two"))
    until(lambda: served.invoke("app") == "two", "the new code")
    assert results == []
    (served.root / "gate" / "open").touch()
    running.join()
    assert results == ["one"]


@pytest.mark.parametrize("broken", ["def handler(:\n", "import nothing_of_that_name\n", ""])
def test_a_broken_edit_keeps_the_old_code(served: Project, broken: str) -> None:
    served.write("app.py", broken)
    until(lambda: "the old one serves" in served.output.read_text(), "the error to be shown")
    assert served.invoke("app") == "one"
    served.write("app.py", _app("three"))
    until(lambda: served.invoke("app") == "three", "the mended code")


def test_an_edit_right_after_the_start_is_not_missed(project: Project) -> None:
    project.write("app.py", _app("one"))
    # The more there are, the later the last one begins to be watched.
    names = [f"f{number}" for number in range(6)]
    project.write("microfaas.toml", "".join(f"[functions.{name}]\n" for name in names))
    project.start()
    project.write("app.py", _app("two"))
    for name in names:
        until(lambda name=name: project.invoke(name) == "two", "the new code")


def test_no_call_fails_while_code_changes(served: Project) -> None:
    stop = threading.Event()
    seen: list[str] = []

    def call() -> None:
        while not stop.is_set():
            seen.append(served.invoke("app"))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in range(5):
        served.write("app.py", _app(f"v{number}"))
        until(lambda wanted=f"v{number}": seen[-1:] == [wanted], "the new code")
    stop.set()
    for caller in callers:
        caller.join()
    assert set(seen) <= {"one", *(f"v{number}" for number in range(5))}


def test_a_module_that_the_handler_imports_counts(served: Project) -> None:
    served.write("part/names.py", "NAME = 'a'\n")
    served.write("app.py", "from part.names import NAME\ndef handler(e, c): return NAME\n")
    until(lambda: served.invoke("app") == "a", "the new module")
    served.write("part/names.py", "NAME = 'b'\n")
    until(lambda: served.invoke("app") == "b", "the edited module")


def _app(word: str) -> str:
    return (
        "import os, time\ndef handler(event, context):\n"
        "    while event.get('wait') and not os.path.exists(os.environ['GATE'] + '/open'):\n"
        f"        time.sleep(0.01)\n    return {word!r}\n"
    )


def _instances(project: Project) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = project.functions()["app"]["instances"]
    return rows
