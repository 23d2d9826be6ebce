"""Which version a name and a qualifier mean."""

from __future__ import annotations

import pytest

from microfaas.errors import FunctionFailed, FunctionNotFound
from microfaas.model import LATEST, Function, Limits, Version
from microfaas.store.functions import Functions, Pointer


def version(number: str = LATEST, name: str = "f") -> Version:
    function = Function(name=name, runtime="python", handler="a.b", code="", limits=Limits())
    return Version(function=function, code_dir="", code_sha256="", number=number)


def served(*numbers: str, chance: float = 0.5) -> Functions:
    functions = Functions(lambda: chance)
    for number in (LATEST, *numbers):
        functions.put(version(number))
    return functions


@pytest.mark.parametrize("qualifier", ["", LATEST])
def test_without_a_number_it_is_the_latest(qualifier: str) -> None:
    assert served("1").resolve("f", qualifier).number == LATEST


def test_a_number_is_that_version() -> None:
    assert served("1", "2").resolve("f", "1").number == "1"


@pytest.mark.parametrize("qualifier", ["3", "prod", "latest"])
def test_what_is_not_there_is_not_found(qualifier: str) -> None:
    with pytest.raises(FunctionNotFound) as caught:
        served("1").resolve("f", qualifier)
    assert caught.value.qualifier == qualifier


def test_an_alias_means_what_it_points_to_last() -> None:
    functions = served("1", "2")
    functions.point("f", "prod", Pointer("1"))
    functions.point("f", "prod", Pointer("2"))
    assert functions.resolve("f", "prod").number == "2"


@pytest.mark.parametrize(("chance", "number"), [(0.0, "2"), (0.29, "2"), (0.3, "1"), (0.99, "1")])
def test_a_share_goes_to_the_other_version(chance: float, number: str) -> None:
    functions = served("1", "2", chance=chance)
    functions.point("f", "prod", Pointer("1", "2", 0.3))
    assert functions.resolve("f", "prod").number == number


def test_an_alias_that_is_removed_is_not_found() -> None:
    functions = served("1")
    functions.point("f", "prod", Pointer("1"))
    functions.unpoint("f", "prod")
    with pytest.raises(FunctionNotFound):
        functions.resolve("f", "prod")


def test_nothing_is_left_of_a_function_that_is_forgotten() -> None:
    functions = served("1")
    assert {each.number for each in functions.forget("f")} == {LATEST, "1"}
    assert functions.all() == functions.everything() == []
    assert functions.latest("f") is None
    with pytest.raises(FunctionNotFound):
        functions.resolve("f", "1")


def test_what_cannot_be_served_is_there_and_has_failed() -> None:
    functions = served("1", "2")
    functions.fail("f", "3", "its runtime is gone")
    functions.fail("g", LATEST, "its package is gone")
    functions.point("f", "live", Pointer("1", "3", 0.9))
    for name, qualifier in (("f", "3"), ("f", "live"), ("g", ""), ("g", LATEST)):
        with pytest.raises(FunctionFailed, match="is gone"):
            functions.resolve(name, qualifier)
    with pytest.raises(FunctionNotFound):
        functions.resolve("g", "1")
    assert functions.knows("f")
    assert functions.knows("g")
    assert not functions.knows("h")
    assert functions.failed() == ["g"]
    assert [each.function.name for each in functions.all()] == ["f"]
    functions.put(version(name="g"))
    functions.put(version("3"))
    assert functions.resolve("g").number == LATEST
    assert functions.resolve("f", "live").number == "3"
    assert functions.failed() == []
    functions.fail("f", "3", "again")
    assert functions.drop("f", "2") is not None
    functions.forget("f")
    with pytest.raises(FunctionNotFound):
        functions.resolve("f", "3")


def test_what_failed_can_be_dropped() -> None:
    functions = served("1")
    functions.fail("f", "2", "it is gone")
    assert functions.drop("f", "2") is None
    with pytest.raises(FunctionNotFound):
        functions.resolve("f", "2")


def test_putting_gives_what_it_replaces() -> None:
    functions = served("1")
    old = functions.resolve("f")
    assert functions.put(version()) is old
