"""`microfaas deploy --canary`: its options, and what it asks of the gateway."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from microfaas.cli import main
from microfaas.cli.deployment import canary
from microfaas.cli.deployment.canary import Canary, Trial
from microfaas.cli.deployment.changes import Changes
from microfaas.client import Client, ClientError

CANARY = Canary(0.1, 600, ("errors>2%",))
TRIAL = Trial("f", "live", "2", "1")
ALIAS = "/2015-03-31/functions/f/aliases/live"
ROLLOUTS = "/_microfaas/v1/functions/f/rollouts"


class Gateway(Client):
    """Answers what it is given, in that order; what it has nothing for is not there."""

    def __init__(self, **answers: list[Any]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, str, Any]] = []

    def rest(self, method: str, path: str, told: object = None) -> dict[str, Any]:
        self.asked.append((method, path, told))
        answers = self.answers.get("aliases" if "/aliases/" in path else "rollouts", [])
        if not answers:
            raise ClientError("ResourceNotFoundException", "not there", 404, None)
        return answers.pop(0)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.5%", 0.005), ("99%", 0.99)])
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    found = canary.share(None, None, text)  # type: ignore[arg-type]
    assert found == pytest.approx(share)


@pytest.mark.parametrize("text", ["10", "0%", "100%", "-1%", "x%", ""])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 10%"):
        canary.share(None, None, text)  # type: ignore[arg-type]


def test_a_new_version_begins_as_a_canary() -> None:
    gateway = Gateway(aliases=[{"FunctionVersion": "1"}], rollouts=[{}])
    changes = Changes(gateway, dry=False)
    found = canary.trial(changes, "f", "live", "2")
    assert found == TRIAL
    canary.begin(changes, [found], CANARY)
    assert gateway.asked[-1] == (
        "POST",
        ROLLOUTS,
        {
            "alias": "live",
            "version": "2",
            "share": 0.1,
            "for_s": 600,
            "rollback_on": ["errors>2%"],
        },
    )
    assert changes.made[0].what == "10% to version 2"


def test_a_dry_run_begins_nothing() -> None:
    gateway = Gateway(aliases=[{"FunctionVersion": "1"}])
    changes = Changes(gateway, dry=True)
    found = canary.trial(changes, "f", "live", "")
    assert found is not None
    canary.begin(changes, [found], CANARY)
    assert [asked[0] for asked in gateway.asked] == ["GET"]
    assert changes.made[0].what == "10% to the next version"


def test_an_alias_that_means_it_already_is_left() -> None:
    gateway = Gateway(aliases=[{"FunctionVersion": "2"}, {"FunctionVersion": "2"}])
    changes = Changes(gateway, dry=False)
    assert canary.trial(changes, "f", "live", "2") is None
    assert changes.made == []


def test_what_has_begun_is_undone_when_another_is_refused() -> None:
    gateway = Gateway(rollouts=[{}], aliases=[{}])
    changes = Changes(gateway, dry=False)
    with pytest.raises(ClientError):
        canary.begin(changes, [TRIAL, TRIAL._replace(function="g")], CANARY)
    told = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {}}}
    assert gateway.asked[-1] == ("PUT", ALIAS, told)
    assert [(each.name, each.did) for each in changes.made] == [
        ("f:live", "canary"),
        ("f:live", "undone"),
    ]


def test_all_of_them_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "POLL_S", 0)
    running = {"state": "running"}
    ended = {"version": "2", "why": "", "calls": 50, "errors": 0, "state": "completed"}
    bad = {**ended, "why": "9 of 20 calls failed, errors>2%", "errors": 9, "calls": 20}
    gateway = Gateway(rollouts=[running, running, ended, {**bad, "state": "rolled back"}])
    told: list[str] = []
    found = canary.follow(gateway, [TRIAL, TRIAL._replace(function="g")], told.append)
    assert [each["state"] for each in found] == ["completed", "rolled back"]
    assert told == [
        "f:live version 2 completed (0 of 50 calls failed)",
        "g:live version 2 rolled back: 9 of 20 calls failed, errors>2% (9 of 20 calls failed)",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--canary", "10%"], "--canary goes with --alias"),
        (["--for", "10m"], "go with --canary"),
        (["--alias", "live", "--rollback-on", "errors>2%"], "go with --canary"),
        (["--alias", "live", "--canary", "9%", "--rollback-on", "errors>2"], "the rule 'errors>2'"),
        (["--alias", "live", "--canary", "9%", "--for", "2d"], "at most 86400"),
    ],
)
def test_options_that_need_each_other(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["deploy", *arguments])
    assert result.exit_code == 2
    assert told in result.output
