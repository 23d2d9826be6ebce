"""Runs each test for every language that has what the test needs, on one server per language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runtimes.conformance.suite import FAULTS, Language, Served, languages
from tests.e2e.project import until


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(handler): only where a language has that handler")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    needed = [mark.args[0] for mark in metafunc.definition.iter_markers("needs")]
    fitting = [one for one in languages() if set(needed) <= set(one.handlers)]
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", FAULTS)
    if "language" in metafunc.fixturenames:
        names = [one.name for one in fitting]
        metafunc.parametrize("language", fitting, ids=names, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One language after the other; what none of them has is left out, not skipped."""
    ours = [item for item in items if _language(item) is not None]
    items[:] = [item for item in items if "NOTSET" not in item.name and item not in ours]
    items += sorted(filter(_fits, ours), key=lambda item: _language(item).name)


def _fits(item: Any) -> bool:
    """Whether the language can have the fault that the test is about."""
    fault = item.callspec.params.get("fault")
    return fault is None or fault in _language(item).handlers


def _language(item: pytest.Item) -> Any:
    """The language that a test is for; None for a test of another folder."""
    callspec = getattr(item, "callspec", None)
    found = callspec and callspec.params.get("language")
    return found if isinstance(found, Language) else None


@pytest.fixture(scope="session")
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    return found


@pytest.fixture(scope="session")
def served(language: Language, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(language, tmp_path_factory.mktemp(language.name) / "project")
    project = served.project
    yield served
    if project.process is not None and project.process.poll() is None:
        assert project.stop() == 0, project.output.read_text()
    assert "Traceback" not in project.output.read_text()


@pytest.fixture
def own_server(language: Language, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for one test, which may end it."""
    served = Served(language, tmp_path_factory.mktemp(f"{language.name}-own") / "project")
    yield served
    if served.project.process is not None and served.project.process.poll() is None:
        served.project.kill()
        until(lambda: not served.project.pids(), "the processes to end")
