"""HTTP triggers in the file, and which route a request means."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from microfaas import config
from microfaas.config.http import parse_route
from microfaas.control.http_routes import HttpRoutes, Served
from microfaas.errors import ConfigError
from microfaas.triggers import table


def load(folder: Path, *routes: tuple[str, str], more: str = "") -> config.Config:
    text = "".join(
        f'[[functions.{function}.triggers]]\ntype = "http"\nroute = "{route}"\n{more}\n'
        for function, route in routes
    )
    (folder / "microfaas.toml").write_text(text)
    return config.load(str(folder), table.settings())


def routes_of(*keys: str) -> HttpRoutes:
    made = HttpRoutes()
    for key in keys:
        made.add(Served(parse_route(key), "f"))
    return made


def test_a_route_is_a_trigger(tmp_path: Path) -> None:
    (trigger,) = load(tmp_path, ("f", "GET /items/{id}"), more='payload = "1.0"').triggers
    assert (trigger.kind, trigger.function) == ("http", "f")


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("/items", "must be a method or ANY, a blank and a path, as in GET /items/{id}"),
        ("get /items", "must be a method or ANY"),
        ("GET items", "must be a method or ANY"),
        ("GET /items?a=b", "must be a method or ANY"),
        ("$other", "must be a method or ANY"),
        ("GET /x{id}", "must have {name} or {name+} for a whole segment, not 'x{id}'"),
        ("GET /{a+}/b", "must have {a+} at its end alone"),
        ("GET /{a}/{a}", "has a variable twice"),
    ],
)
def test_what_is_no_route_is_refused(tmp_path: Path, route: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, ("f", route))
    assert f"functions.f.triggers[0].route: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /a", "GET /a"),
        ("GET /items/{id}", "GET /items/{name}"),
        ("ANY /{proxy+}", "ANY /{rest+}"),
        ("$default", "$default"),
    ],
)
def test_one_request_has_one_function(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, ("f", one), ("g", other))
    said = f"functions.g.triggers: the route '{other}' is taken by '{one}' of the function f"
    assert said in str(caught.value)


def test_routes_that_differ_may_stand_side_by_side(tmp_path: Path) -> None:
    routes = ("GET /a", "POST /a", "ANY /a", "GET /{x}", "GET /{x+}", "GET /a/", "$default")
    assert len(load(tmp_path, *(("f", route) for route in routes)).triggers) == len(routes)


def test_the_prefix_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="http_prefix"):
        config.parse({"http_prefix": "http"}, str(tmp_path / "x.toml"), table.settings())


PETS = (
    *("GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}"),
    *("POST /pets/dog/{id}", "ANY /pets/dog/{id}", "$default"),
)
MEANT: list[tuple[str, str, str, dict[str, str]]] = [
    ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
    ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
    ("POST", "/pets/dog/2", "POST /pets/dog/{id}", {"id": "2"}),
    ("PUT", "/pets/dog/2", "ANY /pets/dog/{id}", {"id": "2"}),
    ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
    ("GET", "/pets/a%20b/%2F", "GET /pets/{proxy+}", {"proxy": "a b//"}),
    ("PUT", "/pets/cat/1", "ANY /{proxy+}", {"proxy": "pets/cat/1"}),
    ("GET", "/", "$default", {}),
]


@pytest.mark.parametrize(("method", "path", "key", "parameters"), MEANT)
def test_the_most_specific_route_is_meant(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    for order in (PETS, PETS[::-1], PETS[3:] + PETS[:3]):
        match = routes_of(*order).find(method, path)
        assert match is not None
        assert (match.served.route.key, match.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/items"),
        ("GET", "/items/"),
        ("GET", "/"),
        ("GET", "/Items"),
        ("GET", "/users/"),
        ("GET", "/users/1/2"),
        ("GET", "/files/"),
        ("GET", "/files"),
    ],
)
def test_what_fits_no_route_means_none(method: str, path: str) -> None:
    routes = routes_of("GET /items", "GET /users/{id}", "GET /files/{path+}")
    assert routes.find(method, path) is None


def test_routes_go_as_they_came() -> None:
    first, second = Served(parse_route("GET /a"), "f"), Served(parse_route("GET /{x}"), "g")
    for gone, left in itertools.permutations((first, second)):
        routes = HttpRoutes()
        routes.add(second)
        routes.add(first)
        routes.remove(gone)
        match = routes.find("GET", "/a")
        assert match is not None
        assert match.served is left


@pytest.mark.parametrize(
    ("mock", "said"),
    [
        ('{ headers = { "Content-Length" = "5" } }', "mock.headers.Content-Length: is no header"),
        ('{ headers = { "A" = "1\\r\\nB: 2" } }', "mock.headers.A: is no header that can be set"),
        ('{ headers = { "A b" = "1" } }', 'mock.headers."A b": is no header that can be set'),
        ("{ status = 100 }", "mock.status: must be"),
    ],
)
def test_what_no_answer_can_be_is_refused(tmp_path: Path, mock: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, ("f", "GET /"), more=f"mock = {mock}")
    assert f"functions.f.triggers[0].{said}" in str(caught.value)
