"""Which subscriptions a configuration declares: topics' own, and functions' triggers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from microfaas.config import Config, Trigger
from microfaas.config.topics import filter_text
from microfaas.errors import ConfigError, Problem
from microfaas.messaging.subscriptions import Subscription
from microfaas.messaging.topics import Topic
from microfaas.model import Address
from microfaas.payloads import sns
from microfaas.triggers.topic import TopicSettings


def topics(config: Config) -> list[Topic]:
    """The topics of the file."""
    return [
        Topic(
            name=name,
            display_name=table.display_name,
            signature_version=table.signature_version,
            declared=True,
        )
        for name, table in config.topics.items()
    ]


def subscriptions(config: Config, queues: Iterable[str]) -> list[Subscription]:
    """All of the file. Raises ConfigError for what is subscribed and is not there."""
    problems: list[Problem] = []
    made = [*of_topics(config), *of_triggers(config.triggers, config.address, problems)]
    functions = {function.name for function in config.functions}
    known = {"lambda": functions, "sqs": set(queues)}
    seen: set[str] = set()
    for each in made:
        where = f"topics.{each.topic}"
        if each.arn in seen:
            problems.append(Problem(where, f"{each.endpoint} is subscribed twice"))
        seen.add(each.arn)
        if each.topic not in config.topics:
            problems.append(Problem(f"functions.{each.local}.triggers", _no_topic(each.topic)))
        elif each.protocol in known and each.local not in known[each.protocol]:
            what = "function" if each.protocol == "lambda" else "queue"
            problems.append(Problem(where, f"there is no {what} {each.local}"))
        if each.dead_letter and each.dead_letter not in known["sqs"]:
            problems.append(Problem(where, f"dead_letter: there is no queue {each.dead_letter}"))
    if problems:
        raise ConfigError(config.source or "the configuration", problems)
    return made


def of_topics(config: Config) -> Iterator[Subscription]:
    """What the file's topics are subscribed to."""
    for each in config.subscriptions:
        settings = msgspec.structs.asdict(each)
        arn = _arn(config.address, each.topic, f"{each.protocol}:{each.endpoint}")
        yield Subscription(arn=arn, declared=True, **settings)


def of_triggers(
    triggers: Iterable[Trigger], address: Address, problems: list[Problem]
) -> Iterator[Subscription]:
    """What functions' triggers are subscribed to."""
    for trigger in triggers:
        settings = trigger.settings
        if not isinstance(settings, TopicSettings):
            continue
        where = f"functions.{trigger.function}.triggers"
        policy = filter_text(where, settings.filter, settings.filter_scope, problems)
        yield Subscription(
            arn=_arn(address, settings.topic, f"trigger:{trigger.function}:{policy}"),
            topic=settings.topic,
            protocol="lambda",
            endpoint=trigger.called,
            policy=policy,
            scope=settings.filter_scope,
            declared=True,
        )


def _arn(address: Address, topic: str, endpoint: str) -> str:
    topic_arn = f"arn:aws:sns:{address.region}:{address.account_id}:{topic}"
    return f"{topic_arn}:{sns.short_name(topic_arn, endpoint)}"


def _no_topic(name: str) -> str:
    return f"there is no topic {name}; declare it: [topics.{name}]"
