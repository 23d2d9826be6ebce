"""Topics, mail and destinations in the configuration: what is read, and every refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from microfaas import config, subscribed
from microfaas.config import Config
from microfaas.config.topics import Declared, Smtp
from microfaas.errors import ConfigError
from microfaas.model import Destination
from microfaas.triggers.topic import TopicSettings

KINDS = {"topic": TopicSettings}
NAMED = "needs exactly one of function, queue, url and email"
KNOWN = (
    "must be function:NAME[:QUALIFIER], queue:NAME, topic:NAME, bus:default, an http: or https: "
    "URL, or directory:PATH"
)


def load(folder: Path, text: str) -> Config:
    (folder / "microfaas.toml").write_text(text)
    return config.load(str(folder), KINDS)


def served(folder: Path, text: str) -> None:
    """As far as a server gets with it."""
    made = load(folder, text)
    subscribed.topics(made)
    subscribed.subscriptions(made, made.queues)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        served(folder, text)
    return [str(problem) for problem in caught.value.problems]


def test_everything_set(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        """
        [topics.t]
        display_name = "Shop"
        signature_version = "2"
        [[topics.t.subscriptions]]
        function = "f"
        filter = { kind = ["a"] }
        [[topics.t.subscriptions]]
        queue = "q"
        raw = true
        [[topics.t.subscriptions]]
        url = "https://example.org/x"
        dead_letter = "q"
        filter = { a = { b = [1] } }
        filter_scope = "MessageBody"
        [[topics.t.subscriptions]]
        email = "ada@example.org"
        [smtp]
        host = "mail"
        port = 587
        tls = "starttls"
        sender = "topics@example.org"
        user = "u"
        password_file = "secret"
        """,
    )
    assert made.subscriptions == (
        Declared(topic="t", protocol="lambda", endpoint="f", policy='{"kind":["a"]}'),
        Declared(topic="t", protocol="sqs", endpoint="q", raw=True),
        Declared(
            topic="t",
            protocol="https",
            endpoint="https://example.org/x",
            dead_letter="q",
            policy='{"a":{"b":[1]}}',
            scope="MessageBody",
        ),
        Declared(topic="t", protocol="email", endpoint="ada@example.org"),
    )
    assert made.smtp == Smtp(
        host="mail",
        port=587,
        tls="starttls",
        sender="topics@example.org",
        user="u",
        password_file=str(tmp_path / "secret"),
    )
    [topic] = subscribed.topics(made)
    assert (topic.name, topic.display_name, topic.signature_version) == ("t", "Shop", "2")
    assert topic.declared


def test_defaults(tmp_path: Path) -> None:
    made = load(tmp_path, "[topics.t]")
    assert (made.subscriptions, made.smtp) == ((), None)
    assert load(tmp_path, '[smtp]\nhost = "mail"').smtp == Smtp(
        host="mail", port=25, tls="none", sender="microfaas@localhost"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[topics."a b"]',
            'topics."a b": a name has 1 to 256 letters, digits, hyphens and underscores',
        ),
        ("[[topics.t.subscriptions]]", f"topics.t.subscriptions[0]: {NAMED}"),
        (
            '[[topics.t.subscriptions]]\nfunction = "f"\nqueue = "q"',
            f"topics.t.subscriptions[0]: {NAMED}",
        ),
        (
            '[[topics.t.subscriptions]]\nurl = "ftp://h"',
            "topics.t.subscriptions[0].url: must be an http: or https: URL, not 'ftp://h'",
        ),
        (
            '[[topics.t.subscriptions]]\nurl = "http://"',
            "topics.t.subscriptions[0].url: must be an http: or https: URL, not 'http://'",
        ),
        (
            '[smtp]\nhost = "m"\n[[topics.t.subscriptions]]\nemail = "a"',
            "topics.t.subscriptions[0].email: must be an e-mail address, not 'a'",
        ),
        (
            '[smtp]\nhost = "m"\n[[topics.t.subscriptions]]\nemail = "a@b\\nBcc: c@d"',
            "topics.t.subscriptions[0].email: must be an e-mail address, not 'a@b\\nBcc: c@d'",
        ),
        (
            '[[topics.t.subscriptions]]\nemail = "a@b"',
            "smtp.host: is missing, and a topic sends e-mails",
        ),
        (
            '[smtp]\nhost = "m"\nsender = "me"',
            "smtp.sender: must be an e-mail address, not 'me'",
        ),
        (
            '[smtp]\nhost = "m"\nuser = "u"',
            "smtp: needs both user and password_file, or neither",
        ),
        (
            '[smtp]\nhost = "m"\npassword_file = "p"',
            "smtp: needs both user and password_file, or neither",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert faults(tmp_path, text) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[topics.t]\nsignature_version = "3"', r"topics\.t\.signature_version: .*: 1, 2, .*"),
        ("[topics.t]\nname = 1", r"topics\.t\.name: .*"),
        ('[smtp]\nhost = "m"\nport = 0', r"smtp\.port: .*1.*"),
        ('[smtp]\nhost = "m"\ntls = "ssl"', r"smtp\.tls: .*: none, starttls, tls, .*"),
        (
            '[[topics.t.subscriptions]]\nqueue = "q"\nfilter = { a = 1 }',
            r"topics\.t\.subscriptions\[0\]\.filter: .*",
        ),
        (
            '[[topics.t.subscriptions]]\nqueue = "q"\nfilter = { a = { b = ["c"] } }',
            r"topics\.t\.subscriptions\[0\]\.filter: .*nested.*",
        ),
        (
            '[[topics.t.subscriptions]]\nqueue = "q"\nfilter_scope = "Body"',
            r"topics\.t\.subscriptions\[0\]\.filter_scope: .*, MessageBody, .*",
        ),
        (
            '[topics.t]\n[functions.f]\n[[functions.f.triggers]]\ntype = "topic"\n'
            'topic = "t"\nfilter = { a = 1 }',
            r"functions\.f\.triggers: .*",
        ),
    ],
)
def test_what_is_refused_in_words_of_others(tmp_path: Path, text: str, told: str) -> None:
    [found] = faults(tmp_path, text)
    assert re.fullmatch(told, found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[topics.t.subscriptions]]\nfunction = "f"', "topics.t: there is no function f"),
        ('[[topics.t.subscriptions]]\nqueue = "q"', "topics.t: there is no queue q"),
        (
            '[[topics.t.subscriptions]]\nurl = "http://h/"\ndead_letter = "q"',
            "topics.t: dead_letter: there is no queue q",
        ),
        (
            '[functions.f]\n[[functions.f.triggers]]\ntype = "topic"\ntopic = "t"',
            "functions.f.triggers: there is no topic t; declare it: [topics.t]",
        ),
        (
            '[functions.f]\n[topics.t]\nsubscriptions = [{function = "f"}, {function = "f"}]',
            "topics.t: f is subscribed twice",
        ),
    ],
)
def test_what_is_not_there(tmp_path: Path, text: str, told: str) -> None:
    assert faults(tmp_path, text) == [told]


def test_a_trigger_is_a_subscription(tmp_path: Path) -> None:
    text = """
    [topics.t]
    subscriptions = [{ url = "http://h/" }]
    [functions.f]
    [[functions.f.triggers]]
    type = "topic"
    topic = "t"
    filter = { a = [1] }
    filter_scope = "MessageBody"
    """
    made = subscribed.subscriptions(load(tmp_path, text), ())
    assert [(each.protocol, each.endpoint) for each in made] == [
        ("http", "http://h/"),
        ("lambda", "f"),
    ]
    assert (json.loads(made[1].policy), made[1].scope) == ({"a": [1]}, "MessageBody")
    assert all(each.declared and not each.pending for each in made)
    again = subscribed.subscriptions(load(tmp_path, text), ())
    assert [each.arn for each in made] == [each.arn for each in again]


class TestDestinations:
    def test_of_every_kind(self, tmp_path: Path) -> None:
        (function,) = load(
            tmp_path,
            """
            [functions.f]
            on_success = "directory:out"
            on_failure = "https://example.org:8443/x"
            dead_letter = "topic:t"
            """,
        ).functions
        assert function.events.on_success == Destination("directory", str(tmp_path / "out"))
        assert function.events.on_failure == Destination("url", "https://example.org:8443/x")
        assert function.events.dead_letter == Destination("topic", "t")

    @pytest.mark.parametrize(
        "text",
        ["f", "function:", "bus:b", "http://", "http://h:0/", "http://h:x/", "directory:", ""],
    )
    def test_it_may_mean_nothing(self, tmp_path: Path, text: str) -> None:
        for key in ("on_success", "on_failure"):
            [told] = faults(tmp_path, f'[functions.f]\n{key} = "{text}"')
            assert told == f"functions.f.{key}: {KNOWN}, not '{text}'"

    def test_a_function_has_to_be_there(self, tmp_path: Path) -> None:
        text = '[functions.f]\non_success = "function:g"\non_failure = "function:f"'
        assert faults(tmp_path, text) == ["functions.f.on_success: there is no function g"]

    @pytest.mark.parametrize("text", ["function:f", "http://h/", "directory:x"])
    def test_a_dead_letter_goes_to_queues_and_topics(self, tmp_path: Path, text: str) -> None:
        told = faults(tmp_path, f'[functions.f]\ndead_letter = "{text}"')
        assert told == ["functions.f.dead_letter: must be queue:NAME or topic:NAME"]
