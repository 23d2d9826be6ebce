"""`microfaas keys`: made, listed and revoked in the data directory."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_world import run


def listed() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(run("keys", "list", "--json").stdout)["keys"]
    return rows


def audited() -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(".microfaas/audit.log").read_text().splitlines()]


class TestKeys:
    def test_create_prints_the_secret_as_programs_take_it(self) -> None:
        result = run("keys", "create", "shop", "--allow", "invoke:order,read")
        assert result.exit_code == 0
        lines = dict(line.split("=", 1) for line in result.stdout.splitlines())
        key_id, secret = lines["AWS_ACCESS_KEY_ID"], lines["AWS_SECRET_ACCESS_KEY"]
        assert lines["MICROFAAS_KEY"] == f"{key_id}.{secret}"
        assert re.fullmatch(r"MFK[A-Z2-7]{17}", key_id)
        assert "shown this once" in result.stderr
        (row,) = listed()
        assert (row["id"], row["allow"], row["state"]) == (key_id, ["invoke:order", "read"], "live")
        everything = run("keys", "list").stdout + run("keys", "list", "--json").stdout
        assert secret not in everything + Path(".microfaas/audit.log").read_text()

    def test_create_with_all_options_as_json(self) -> None:
        result = run(
            *("keys", "create", "--allow", "admin", "--expires", "1d", "--rate", "50", "--json")
        )
        made = json.loads(result.stdout)
        assert (made["rate_per_s"], made["allow"], len(made["secret"])) == (50, ["admin"], 40)
        assert made["expires_at"] > made["created_at"]
        assert "50/s" in run("keys", "list").stdout

    def test_revoke_is_for_good(self) -> None:
        key_id = json.loads(run("keys", "create", "--allow", "read", "--json").stdout)["id"]
        assert run("keys", "revoke", key_id).exit_code == 0
        assert listed()[0]["state"] == "revoked"
        again = run("keys", "revoke", key_id)
        assert (again.exit_code, again.stdout) == (100, "")
        assert [(entry["action"], entry["on"], entry["result"]) for entry in audited()] == [
            ("keys create", key_id, "ok"),
            ("keys revoke", key_id, "ok"),
            ("keys revoke", key_id, "unknown key"),
        ]

    def test_revoke_of_nothing_makes_no_data_directory(self) -> None:
        assert run("keys", "revoke", "MFK1").exit_code == 100
        assert not Path(".microfaas").exists()

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("--allow", "write"),
            ("--allow", "invoke:"),
            ("--allow", "read", "--expires", "soon"),
            ("--allow", "read", "--rate", "0"),
            ("--allow", "read", "--rate", "nan"),
        ],
    )
    def test_wrong_usage(self, arguments: tuple[str, ...]) -> None:
        assert run("keys", "create", *arguments).exit_code == 2
        assert not Path(".microfaas").exists()

    def test_an_unfit_name_is_refused(self) -> None:
        assert run("keys", "create", "a\nb", "--allow", "read").exit_code == 100
