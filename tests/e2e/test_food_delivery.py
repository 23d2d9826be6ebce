"""The example of all that is durable: whatever happens, each order ends as its card demands."""

from __future__ import annotations

import collections
import functools
import itertools
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.exceptions import BotoCoreError

from tests.e2e.project import BIN, Project, until
from tests.e2e.test_examples import copy_example

ORDERS = 1000
CLIENTS = 8
KILLS = 5
SETTLED_S_MAX = 600.0
CARDS = {
    "confirmed": "4242 4242 4242 4242",
    "declined": "4000 0000 0000 0002",
    "dead": "4000 0000 0000 0119",
}
SUBJECTS = {"confirmed": "Your order is confirmed", "declined": "Your order could not be paid"}
ZONE = ZoneInfo("Europe/Berlin")
Ids = set[str]


def order_of(customer: str, kind: str) -> dict[str, object]:
    return {
        "customer": customer,
        "email": f"{customer.replace(' ', '.')}@example.org",
        "phone": "+49 30 1234567",
        "card": CARDS[kind],
        "items": [{"dish": "margherita", "quantity": 2}, {"dish": "water"}],
    }


@pytest.fixture
def delivery(project: Project) -> Project:
    """The example, with ports of its own for the mail server and the SMS gateway."""
    copy_example(project, "food-delivery")
    path = project.root / "microfaas.toml"
    text = path.read_text()
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        for usual, free in ((":8025", one), (":8026", other)):
            assert usual in text
            text = text.replace(usual, f":{free.getsockname()[1]}")
    path.write_text(text)
    return project


def test_one_command_starts_it(delivery: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("SMS_REFUSED", "0")
    # With keys, for then functions may do with queues and topics what functions may, and no more.
    configuration = delivery.root / "microfaas.toml"
    configuration.write_text(f"auth = true\n{configuration.read_text()}")
    made = delivery.cli("keys", "create", "test", "--allow", "invoke")
    values = dict(line.split("=") for line in made.stdout.decode().split())
    delivery.key = values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]
    # Without the word `run`, which is not for it.
    delivery.start(command=["sh", "-c", 'shift; exec ./start "$@"', "start"])
    good = order_of("Ada", "confirmed")
    answer = delivery.invoke("Order", good)
    assert (answer["status"], answer["total_cents"]) == ("accepted", 1950)
    told = (f'"id": "{answer["order_id"]}"', f"<{answer['order_id']}@food-delivery.example>")
    until(lambda: all(each in delivery.output.read_text() for each in told), "the notifications")
    until(lambda: list((delivery.root / "books").glob("*.json")), "the booking")
    wrong = {
        "items": ([], "items: at least one is needed"),
        "card": ("4242 4242 4242 4241", "card: not a card's number"),
        "email": ("ada@example.org\nBcc: all", "email: must be such as ada@example.org"),
    }
    for key, (value, why) in wrong.items():
        error = delivery.fail("Order", {**good, key: value})
        assert (error["errorType"], error["errorMessage"]) == ("InvalidOrder", why)
    night = {"source": "aws.events", "time": "2026-03-30T00:00:00Z"}
    assert delivery.invoke("Report", night)["date"] == "2026-03-29"


@pytest.fixture
def outside(delivery: Project, tmp_path: Path) -> Iterator[Path]:
    """The stand-ins, which live on when the server dies, and where they write what they get."""
    told = tmp_path / "told"
    with told.open("wb") as output:
        python = delivery.root / ".venv" / "bin" / "python"
        command = [python, delivery.root / "stand_ins.py"]
        process = subprocess.Popen(command, stdout=output)
    try:
        until(lambda: "ready" in told.read_text(), "the stand-ins")
        yield told
    finally:
        process.terminate()
        process.wait()


def kind_of(number: int) -> str:
    """One of ten declined; those whose card never answers early, as they take their time."""
    if number % 10 == 3:
        return "declined"
    return "dead" if number % 20 == 0 and number < ORDERS // 2 else "confirmed"


class Clients:
    """Who orders, and orders again under another name when there was no answer."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.kinds: dict[str, str] = {}
        self.accepted: dict[str, str] = {}
        self._client = functools.cache(lambda url: project.lambda_client())

    def order(self, number: int) -> None:
        kind = kind_of(number)
        for attempt in itertools.count():
            customer = f"customer {number} {attempt}"
            self.kinds[customer] = kind
            try:
                answer = self._ask(order_of(customer, kind))
            except BotoCoreError:
                time.sleep(0.05)  # dead, or not there again
                continue
            assert answer["status"] == "accepted"
            self.accepted[answer["order_id"]] = customer
            return

    def _ask(self, order: dict[str, object]) -> Any:
        client = self._client(self.project.url)
        reply = client.invoke(FunctionName="Order", Payload=json.dumps(order))
        answer = json.load(reply["Payload"])
        assert "FunctionError" not in reply, answer
        return answer


class World:
    """What the world outside has been told, and what is on disk."""

    def __init__(self, project: Project, told: Path) -> None:
        self.root = project.root
        lines = [json.loads(line) for line in told.read_text().splitlines()]
        self.mails = _distinct(lines, "mail", r"<(.+)@food-delivery\.example>")
        self.sms = _distinct(lines, "sms", "(.+)")
        self.charged = self.files("charges")

    def files(self, folder: str) -> Ids:
        return {path.stem for path in (self.root / folder).glob("*.json")}

    def customers(self) -> dict[str, str]:
        """Of the orders that were told about: who it was."""
        found = {}
        for number, mail in self.mails.items():
            name = re.search(r"customer [0-9]+ [0-9]+", mail["text"])
            assert name is not None
            found[number] = name[0]
        return found


def _distinct(lines: list[Any], kind: str, pattern: str) -> dict[str, Any]:
    """By the order's id. One that came again must be the same again."""
    found: dict[str, Any] = {}
    for line in lines:
        if line["kind"] == kind:
            matched = re.fullmatch(pattern, line["id"])
            assert matched is not None
            assert found.setdefault(matched[1], line) == line
    return found


def test_a_thousand_orders_end_as_they_should_whatever_dies(
    delivery: Project, outside: Path
) -> None:
    first_day = datetime.now(ZONE).date()
    delivery.start()
    clients = Clients(delivery)
    with ThreadPoolExecutor(CLIENTS) as threads:
        ordered = [threads.submit(clients.order, number) for number in range(ORDERS)]
        for kill in range(1, KILLS + 1):
            due = ORDERS * kill // (KILLS + 1)
            until(lambda due=due: len(clients.accepted) >= due, "orders", 300)
            time.sleep(random.uniform(0, 0.3))
            delivery.kill()
            delivery.start()
        for each in ordered:
            each.result()
    assert len(clients.accepted) == ORDERS
    sqs = _client(delivery, "sqs")
    until(lambda: _is_settled(World(delivery, outside), clients, sqs), "the end", SETTLED_S_MAX)
    dead = {order["order_id"]: order["customer"] for order in _received(sqs, "orders-dead")}
    kinds = _check(World(delivery, outside), clients, dead)
    _check_reports(delivery, first_day, kinds)
    assert delivery.stop() == 0
    assert _waiting(delivery) == {"queue:orders-dead": len(dead)}


def _is_settled(world: World, clients: Clients, sqs: Any) -> bool:
    """Whether nothing more will happen: no order waits, and what was charged is told and booked."""
    time.sleep(0.25)  # to look is work, too
    if any(_counts(sqs, "orders").values()):
        return False
    receipts = world.files("receipts")
    accepted = {n for n, who in clients.accepted.items() if clients.kinds[who] != "dead"}
    told = set(world.mails) == world.charged and set(world.sms) == receipts
    return told and world.files("books") == receipts and accepted <= world.charged


def _check(world: World, clients: Clients, dead: dict[str, str]) -> dict[str, str]:
    """Everything that was accepted, and nothing that was not ordered; gives the orders' kinds."""
    seen = {**dead, **world.customers()}
    orders = {**seen, **clients.accepted}
    assert seen.items() <= orders.items()
    assert len(set(orders.values())) == len(orders), "an order was taken for two"
    kinds = {number: clients.kinds[customer] for number, customer in orders.items()}
    confirmed, declined, failed = (_of(kinds, kind) for kind in CARDS)
    assert set(world.mails) == world.charged == confirmed | declined
    assert set(world.sms) == confirmed
    assert world.files("receipts") == world.files("books") == confirmed
    assert set(dead) == failed
    for number, mail in world.mails.items():
        assert mail["subject"] == SUBJECTS[kinds[number]]
        assert mail["to"] == [f"{orders[number].replace(' ', '.')}@example.org"]
    return kinds


def _of(kinds: dict[str, str], kind: str) -> Ids:
    return {number for number, each in kinds.items() if each == kind}


def _check_reports(project: Project, first_day: Any, kinds: dict[str, str]) -> None:
    counted = collections.Counter(kinds.values())
    orders = cents = 0
    for day in sorted({first_day, datetime.now(ZONE).date()}):
        report = project.invoke("Report", {"date": day.isoformat()})
        orders, cents = orders + report["orders"], cents + report["total_cents"]
        queues = {"orders": 0, "orders-dead": counted["dead"], "undelivered": 0}
        assert report["queues"] == queues
        text = (project.root / "reports" / f"{day}.txt").read_text()
        assert re.search(rf"orders paid +{report['orders']}\n", text)
        assert re.search(rf"never charged +{counted['dead']}\n", text)
    assert (orders, cents) == (counted["confirmed"], counted["confirmed"] * 1950)


def _client(project: Project, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def _counts(sqs: Any, name: str) -> dict[str, int]:
    """How many messages of each sort a queue has."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        key: int(value)
        for key, value in attributes.items()
        if key.startswith("ApproximateNumberOfMessages")
    }


def _received(sqs: Any, name: str) -> list[Any]:
    """The bodies of all messages, which stay there."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    bodies = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600
    ).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in messages]
    return bodies


def _waiting(project: Project) -> dict[str, int]:
    """What the store still has, dead letters too, by queue."""
    with sqlite3.connect(project.data / "microfaas.db") as database:
        rows = database.execute("SELECT name, messages FROM queues WHERE messages > 0")
        return {name: number for name, number in rows if name != "results"}
