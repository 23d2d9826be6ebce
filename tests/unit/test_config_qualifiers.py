"""Triggers that call an alias or a version: the key of all kinds, and what each makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from microfaas import config, subscribed
from microfaas.config import Trigger
from microfaas.errors import ConfigError
from microfaas.messaging.targets import Place, place
from microfaas.model import Address
from microfaas.triggers import event, schedule, table

KINDS = {
    "bucket": 'path = "inbox"',
    "event": 'source = "shop"',
    "http": 'route = "GET /"',
    "queue": 'queue = "q"',
    "schedule": 'expression = "@daily"',
    "stream": 'stream = "s"',
    "topic": 'topic = "t"',
}
REFUSED = (
    "must be an alias or a version's number, of 1 to 128 letters, digits, hyphens and underscores"
)


def load(folder: Path, text: str) -> config.Config:
    (folder / "microfaas.toml").write_text(f"[streams.s]\n[topics.t]\n[functions.f]\n{text}")
    return config.load(str(folder), table.settings())


def trigger(folder: Path, kind: str, more: str = 'qualifier = "live"') -> Trigger:
    text = f'[[functions.f.triggers]]\ntype = "{kind}"\n{KINDS[kind]}\n{more}\n'
    (made,) = load(folder, text).triggers
    return made


def test_these_are_all_kinds() -> None:
    assert set(KINDS) == set(table.KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("qualifier", ["live", "3", "$LATEST", "a" * 128])
def test_every_kind_has_it(tmp_path: Path, kind: str, qualifier: str) -> None:
    made = trigger(tmp_path, kind, f'qualifier = "{qualifier}"')
    assert (made.kind, made.function, made.qualifier) == (kind, "f", qualifier)
    assert made.called == f"f:{qualifier}"
    assert trigger(tmp_path, kind, "").called == "f"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('""', f"{REFUSED}, not ''"),
        ('"li ve"', f"{REFUSED}, not 'li ve'"),
        ('"$OTHER"', REFUSED),
        ('"f:live"', REFUSED),
        (f'"{"a" * 129}"', REFUSED),
        ("3", "must be text, not 3"),
    ],
)
def test_what_cannot_be_one_is_refused(tmp_path: Path, given: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        trigger(tmp_path, "queue", f"qualifier = {given}")
    assert f"functions.f.triggers[0].qualifier: {told}" in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_rule_has_it_in_its_target(tmp_path: Path) -> None:
    (rule,) = event.rules([trigger(tmp_path, "event")])
    assert place(rule.targets[0].arn) == Place("function", "f", "live")


def test_a_subscription_has_it_and_stays_the_same(tmp_path: Path) -> None:
    plain, aliased = (
        next(iter(subscribed.of_triggers([trigger(tmp_path, "topic", more)], Address(), [])))
        for more in ("", 'qualifier = "live"')
    )
    assert (plain.function, aliased.function) == (("f", ""), ("f", "live"))
    assert plain.arn == aliased.arn


def test_a_schedule_goes_on_where_it_was(tmp_path: Path) -> None:
    plain, aliased = trigger(tmp_path, "schedule", ""), trigger(tmp_path, "schedule")
    assert schedule.gone(["file:f:@daily UTC"], [plain]) == []
    assert schedule.gone(["file:f:@daily UTC"], [aliased]) == []


def test_the_same_files_are_not_told_of_twice(tmp_path: Path) -> None:
    rows = [
        'path = "inbox"\nsuffix = ".jpg"',
        'path = "./inbox/"\nsuffix = ".jpg"\nqualifier = "live"',
        'path = "inbox"\nsuffix = ".png"',
    ]
    heads = [f'[[functions.f.triggers]]\ntype = "bucket"\n{row}\n' for row in rows]
    assert len(load(tmp_path, heads[0] + heads[2]).triggers) == 2
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "".join(heads))
    (problem,) = caught.value.problems
    assert str(problem).startswith("functions.f.triggers[1]: is a second one of inbox/*.jpg, ")


def test_topics_and_destinations_may_name_one(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        'on_success = "function:f:live"\n[[topics.t.subscriptions]]\nfunction = "f:live"\n',
    )
    assert [each.function for each in subscribed.subscriptions(made, ())] == [("f", "live")]
    to = made.functions[0].events.on_success
    assert to is not None
    assert (to.kind, to.name) == ("function", "f:live")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[[topics.t.subscriptions]]\nfunction = "f:li ve"',
            f"topics.t.subscriptions[0].function: behind the colon {REFUSED}",
        ),
        ('on_success = "function:f:"', "functions.f.on_success: must be function:NAME"),
        ('on_success = "function:f:li ve"', "functions.f.on_success: must be function:NAME"),
        ('on_success = "function::live"', "functions.f.on_success: must be function:NAME"),
        ('on_success = "function:g:live"', "functions.f.on_success: there is no function g"),
    ],
)
def test_what_they_may_not_name(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{text}\n")
    assert told in str(caught.value)
