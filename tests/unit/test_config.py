"""The configuration: what is read, what is refused, and how that is said."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from microfaas import config
from microfaas.config import Config, ConfigTable, FunctionTable, RequestsTable, TlsFiles
from microfaas.errors import ConfigError
from microfaas.model import Limits


class PostSettings(msgspec.Struct, kw_only=True):
    path: Annotated[str, Meta(min_length=1)]
    every_s: Annotated[int, Meta(ge=1)] = 5


KINDS = {"post": PostSettings}


def load(folder: Path, text: str, **given: str) -> Config:
    (folder / "microfaas.toml").write_text(text)
    return config.load(str(folder), KINDS, **given)


def faults(folder: Path, text: str, **given: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **given)
    assert str(folder / "microfaas.toml") in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_defaults(tmp_path: Path) -> None:
    made = load(tmp_path, "[functions.hello]")
    (function,) = made.functions
    assert (made.host, made.port, made.data) == ("127.0.0.1", 9000, str(tmp_path / ".microfaas"))
    assert made.address.endpoint_url == "http://127.0.0.1:9000"
    assert (function.name, function.runtime, function.handler) == ("hello", "python", "")
    assert (function.code, function.limits) == (str(tmp_path), Limits())
    assert made.triggers == ()


def test_everything_set(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "code.zip").touch()
    (tmp_path / "python").touch(0o755)
    made = load(
        tmp_path,
        """
        listen = "[::1]:0"
        data = "state"
        memory_budget_mb = 512
        region = "eu-central-1"
        account_id = "000000000001"
        prices = { gb_second = 1, currency = "EUR" }
        [functions.f_1-A]
        code = "code.zip"
        handler = "src/app.main"
        interpreter = "python"
        memory_mb = 512
        timeout_s = 1
        environment = { SIZE = "128" }
        mounts = { INBOX = { path = "inbox", write = true } }
        [[functions.f_1-A.triggers]]
        type = "post"
        path = "x"
        """,
    )
    (function,) = made.functions
    assert (made.host, made.port, made.memory_budget_mb) == ("::1", 0, 512)
    assert made.address.endpoint_url == "http://[::1]:0"
    assert made.address.arn("f") == "arn:aws:lambda:eu-central-1:000000000001:function:f"
    assert (made.prices.gb_second, made.prices.currency) == (1.0, "EUR")
    assert function.limits == Limits(memory_mb=512, timeout_s=1.0)
    assert function.interpreter == str(tmp_path / "python")
    assert function.mounts[0].source == str(tmp_path / "inbox")
    assert function.mounts[0].write
    assert made.triggers[0].settings == PostSettings(path="x")


def test_the_command_line_wins_and_means_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    made = load(tmp_path / "project", 'listen = "1.2.3.4:5"', listen="127.0.0.1:77", data="d")
    assert (made.host, made.port, made.data) == ("127.0.0.1", 77, str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lisen = 'x'", 'lisen: is not a known key; did you mean "listen"?'),
        ("function = {}", 'function: is not a known key; did you mean "functions"?'),
        ("functions = 5", "functions: must be a table of tables"),
        ("functions = { f = 5 }", "functions.f: must be a table, not 5"),
        ("listen = '9000x'", "listen: must be HOST:PORT with a port of 0 to 65535, not '9000x'"),
        (
            "listen = 'a:65536'",
            "listen: must be HOST:PORT with a port of 0 to 65535, not 'a:65536'",
        ),
        ("listen = 'a b:1'", "listen: must be HOST:PORT with a port of 0 to 65535, not 'a b:1'"),
        ("data = ''", "data: must be text of length >= 1, not ''"),
        ("memory_budget_mb = 1", "memory_budget_mb: must be a whole number >= 64, not 1"),
        ("drain_s_max = inf", "drain_s_max: must be a finite number, not inf"),
        ("prices = { request = -1 }", "prices.request: must be a number >= 0.0, not -1"),
        (
            "[functions.'a b']",
            'functions."a b": a name has 1 to 64 letters, digits, hyphens and underscores',
        ),
        (
            "[functions.f]\nmemory_mb = 1",
            "functions.f.memory_mb: must be a whole number >= 16, not 1",
        ),
        (
            "[functions.f]\nlog_level = 'WARN'",
            'functions.f.log_level: goes with log_format = "JSON" only',
        ),
        ("[functions.f]\ncpu = nan", "functions.f.cpu: must be a finite number, not nan"),
        (
            "[functions.f]\nsnapshot = 'x'",
            "functions.f.snapshot: must be one of: auto, on, off, not 'x'",
        ),
        (
            "[functions.f]\nenvironment = { SIZE = 128 }",
            "functions.f.environment.SIZE: must be text, not 128",
        ),
        (
            "[functions.f]\nenvironment = { 'A-B' = '' }",
            "functions.f.environment.A-B: a variable's name has letters, digits and underscores",
        ),
        (
            "[functions.f]\nenvironment = { AWS_REGION = '' }",
            "functions.f.environment.AWS_REGION: is set by the platform and cannot be chosen",
        ),
        (
            "[functions.f]\nenvironment = { A = 'x' }\nmounts = { A = { path = '.' } }",
            "functions.f.environment.A: is one of its mounts too, and would hide it",
        ),
        (
            "memory_budget_mb = 64\n[functions.f]",
            "functions.f.memory_mb: must be at most memory_budget_mb (64), not 128",
        ),
        (
            "[functions.f]\ntriggers = [{ type = 'pots' }]",
            "functions.f.triggers[0].type: is 'pots'; it must be one of: post",
        ),
        (
            "[functions.f]\ntriggers = [{}]",
            "functions.f.triggers[0].type: is missing; it must be one of: post",
        ),
        (
            "[functions.f]\ntriggers = [{ type = 'post', path = 'x', every_s = 0 }]",
            "functions.f.triggers[0].every_s: must be a whole number >= 1, not 0",
        ),
    ],
)
def test_refuses_with_place_and_remedy(tmp_path: Path, text: str, problem: str) -> None:
    assert faults(tmp_path, text) == [problem]


def test_a_log_in_json_has_levels(tmp_path: Path) -> None:
    text = '[functions.a]\nlog_format = "JSON"\nlog_level = "WARN"\nlog_group = "shop"'
    function = load(tmp_path, text).functions[0]
    logs = function.logs
    assert (logs.format, logs.application_level, logs.system_level) == ("JSON", "WARN", "INFO")
    assert function.log_group == "shop"


def test_refuses_paths_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = """
    data = "file"
    [functions.f]
    code = "gone"
    interpreter = "file"
    mounts = { M = { path = "file" } }
    [functions.g]
    code = "file"
    interpreter = ".venv/bin/python"
    """
    assert faults(tmp_path, text) == [
        f"data: must be a directory, not the file {tmp_path}/file",
        f"functions.f.code: must be a folder or a .zip file, not {tmp_path}/gone",
        f"functions.f.interpreter: must be an interpreter; {tmp_path}/file cannot be run",
        f"functions.f.mounts.M.path: must be a directory, not {tmp_path}/file",
        f"functions.g.code: must be a folder or a .zip file, not {tmp_path}/file",
        "functions.g.interpreter: must be an interpreter; "
        f"{tmp_path}/.venv/bin/python does not exist",
    ]


def test_names_all_faults_of_all_functions_at_once(tmp_path: Path) -> None:
    text = """
    listen = 9000
    what = 1
    [functions.f]
    memory_mb = "256"
    code = "gone"
    hanlder = "a.b"
    triggers = [{ type = "post", path = 1 }, { type = "x" }]
    [functions.g]
    timeout_s = 0
    environment = { _HANDLER = "x", B = 1 }
    """
    assert sorted(fault.split(":")[0] for fault in faults(tmp_path, text)) == sorted(
        [
            *("listen", "what", "functions.f.memory_mb", "functions.f.code"),
            *(
                "functions.f.hanlder",
                "functions.f.triggers[0].path",
                "functions.f.triggers[1].type",
            ),
            *("functions.g.timeout_s", "functions.g.environment._HANDLER"),
            "functions.g.environment.B",
        ]
    )


@pytest.mark.parametrize(
    "content", [b"a = ", b"a = 1\na = 2", b"\xff", b"a = " + b"9" * 5000, b"a = " + b"[" * 5000]
)
def test_refuses_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "microfaas.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"microfaas\.toml: is not valid TOML"):
        config.load(str(tmp_path), KINDS)


def test_a_missing_file_comes_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="microfaas init"):
        config.load(str(tmp_path), KINDS)


class TestBareHandler:
    def test_is_a_function_named_as_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "my_app.py").touch()
        made = config.load(f"{tmp_path}/my_app.py:main", KINDS)
        (function,) = made.functions
        assert (function.name, function.handler) == ("my_app", "my_app.main")
        assert (function.code, made.source) == (str(tmp_path), None)

    def test_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no such file"):
            config.load(f"{tmp_path}/app.py:main", KINDS)

    def test_needs_the_handler(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").touch()
        with pytest.raises(ConfigError, match=r"app\.py:HANDLER"):
            config.load(f"{tmp_path}/app.py", KINDS)


def names(struct: type[msgspec.Struct]) -> st.SearchStrategy[str]:
    return st.sampled_from([*struct.__struct_fields__]) | st.text(max_size=8)


scalars = (
    st.none().map(lambda _: "127.0.0.1:80")
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4400, max_value=10**4500)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["auto", "post", "type", "~x/y", "a.b", "\0"])
    | st.datetimes()
    | st.just(datetime.date(2026, 1, 1))
    | st.just(datetime.time(1, 2))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "path", "write"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
functions = st.dictionaries(names(FunctionTable), values, max_size=6)
tables = st.dictionaries(names(ConfigTable), values, max_size=6)


@settings(max_examples=120, deadline=None)
@given(tables, st.dictionaries(st.text(max_size=5), functions, max_size=3))
def test_whatever_is_written_raises_nothing_but_config_errors(
    table: dict[str, Any], rows: dict[str, Any]
) -> None:
    source = "/nowhere/microfaas.toml"
    try:
        made: object = config.parse({"functions": rows, **table}, source, KINDS)
    except ConfigError as error:
        made = error.problems
    assert made


class TestAccess:
    def test_defaults_ask_nobody_here(self, tmp_path: Path) -> None:
        made = config.parse({}, str(tmp_path / "microfaas.toml"), {})
        assert (made.auth, made.insecure, made.tls) == (False, False, None)
        assert made.address.endpoint_url == "http://127.0.0.1:9000"
        assert made.requests == RequestsTable()

    def test_a_certificate_makes_it_https(self, tmp_path: Path) -> None:
        (tmp_path / "c.pem").touch()
        (tmp_path / "k.pem").touch()
        table = {"listen": "[::]:443", "tls": {"certificate": "c.pem", "key": "k.pem"}}
        made = config.parse(table, str(tmp_path / "microfaas.toml"), {})
        assert made.tls == TlsFiles(str(tmp_path / "c.pem"), str(tmp_path / "k.pem"))
        assert made.address.endpoint_url == "https://[::1]:443"

    @pytest.mark.parametrize(
        ("tls", "problem"),
        [
            ({"certificate": "c.pem"}, "tls: needs both certificate and key"),
            ({"key": "c.pem"}, "tls: needs both certificate and key"),
            ({"certificate": "", "key": ""}, "tls: needs both certificate and key"),
            ({"certificate": "gone", "key": "gone"}, "tls.key: must be a file"),
        ],
    )
    def test_half_a_pair_is_refused(
        self, tmp_path: Path, tls: dict[str, str], problem: str
    ) -> None:
        with pytest.raises(ConfigError, match=problem):
            config.parse({"tls": tls}, str(tmp_path / "microfaas.toml"), {})

    def test_a_rate_is_a_limit_of_the_function(self, tmp_path: Path) -> None:
        table: dict[str, Any] = {"functions": {"f": {"rate_max": 0.5}, "g": {}}}
        made = config.parse(table, str(tmp_path / "microfaas.toml"), {})
        assert [function.limits.rate_max for function in made.functions] == [0.5, None]
        with pytest.raises(ConfigError, match="rate_max"):
            config.parse({"functions": {"f": {"rate_max": 0}}}, str(tmp_path / "m.toml"), {})
