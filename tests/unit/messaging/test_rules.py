"""Rules, the bus and EventBridge Scheduler over a real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from schedule_world import World

from microfaas.errors import MicrofaasError, QueueFull, ServiceError
from microfaas.messaging.rules import Rule, Rules
from microfaas.messaging.scheduler import Scheduler, Timed
from microfaas.messaging.targets import Place, Target, Targets, place
from microfaas.model import Address
from microfaas.payloads.eventbridge import Occurrence
from microfaas.store import events
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import Batch, Draft
from microfaas.store.resources import Resources

LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:"
SHOP = json.dumps({"source": ["shop"]})


class Bus(World):
    """A world with rules and Scheduler in it."""

    def open(self) -> None:
        super().open()
        resources = Resources(self.db)
        self.refused: set[tuple[str, str, str]] = set()
        # Of what was sent to queues: the name, and the trace it was sent with.
        self.traces: list[tuple[str, str]] = []
        targets = Targets(
            {"queue": self.send},
            lambda name: name != "nobody",
            lambda *asked: asked not in self.refused,
            self.clocks.wall,
        )
        clock = self.clocks.wall
        rest: tuple[Any, ...] = (resources, self.schedules, targets, Address())
        self.rules = Rules(self.store, *rest, clock=clock)
        self.scheduler = Scheduler(*rest, clock=clock)

    def send(self, batch: Batch, to: Place, body: bytes) -> None:
        if to.name == "gone":
            raise MicrofaasError("there is no queue gone")
        self.traces.append((to.name, to.trace_id))
        batch.put(Draft(f"queue:{to.name}", body, group=to.group or None))

    async def again(self) -> None:
        """As after a crash."""
        self.close()
        self.open()
        await self.rules.open()
        await self.scheduler.open()

    def bodies(self, queue: str) -> list[Any]:
        return [json.loads(message.body) for message in self.store.ready(queue, 0, 1000)[0]]

    async def put(self, trace_id: str = "", **detail: Any) -> None:
        occurrence = Occurrence(id="i", at_ms=0, source="shop", detail_type="t", detail=detail)
        await self.rules.publish([occurrence], trace_id)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = Bus(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (f"{LAMBDA}f", Place("function", "f")),
        (f"{LAMBDA}f:live", Place("function", "f", "live")),
        (f"{LAMBDA}f:$LATEST", Place("function", "f", "$LATEST")),
        ("f-1_x", Place("function", "f-1_x")),
        ("f-1_x:live", Place("function", "f-1_x", "live")),
        ("f:li:ve", None),
        (f"{QUEUE}q.fifo", Place("queue", "q.fifo", "", "g")),
        ("arn:aws:sns:eu-west-1:123456789012:t", Place("topic", "t", "", "g")),
        ("arn:aws:kinesis:us-east-1:123456789012:stream/s", Place("stream", "s", "", "g")),
        ("arn:aws:kinesis:us-east-1:123456789012:s", None),
        ("arn:aws:sqs:us-east-1:123456789012:stream/q", None),
        ("arn:aws:ecs:us-east-1:123456789012:cluster/c", None),
        ("not a name", None),
    ],
)
def test_places(arn: str, expected: Place | None) -> None:
    assert place(arn, "g") == expected


async def test_one_event_goes_to_all_targets_of_all_rules_that_match(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    await bus.rules.put(Rule(name="b", pattern=json.dumps({"detail": {"n": [1]}})))
    both = [
        Target(id="1", arn=f"{LAMBDA}f", input='"fixed"'),
        Target(id="2", arn=f"{QUEUE}q", input_path="$.detail"),
    ]
    await bus.rules.put_targets("a", both)
    await bus.rules.put_targets("b", [Target(id="1", arn="g", input_path="$.absent")])
    await bus.put(n=1)
    await bus.put(n=2)
    assert bus.bodies("function:f") == ["fixed", "fixed"]
    assert bus.bodies("queue:q") == [{"n": 1}, {"n": 2}]
    assert bus.bodies("function:g") == [None]


async def test_an_event_is_taken_whole_or_not_at_all(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    await bus.rules.put_targets("a", [Target(id="1", arn="f"), Target(id="2", arn=f"{QUEUE}q")])
    bus.store.bound("queue:q", 0, 0)
    with pytest.raises(QueueFull):
        await bus.put()
    assert bus.bodies("function:f") == []


async def test_an_event_nested_too_deep_to_be_sent_on_is_refused(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    await bus.rules.put_targets("a", [Target(id="1", arn="f")])
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(ServiceError, match="nested too deep"):
        await bus.put(x=deep)
    assert bus.bodies("function:f") == []


def record(condition: str) -> bytes:
    asked = {"requestId": "r", "functionArn": f"{LAMBDA}f:$LATEST", "condition": condition}
    return json.dumps({"version": "1.0", "requestContext": asked, "responsePayload": [1]}).encode()


async def test_the_end_of_an_invocation_is_an_event_in_its_own_batch(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern='{"source": ["lambda"]}'))
    failed = {"detail-type": ["Lambda Function Invocation Result - Failure"]}
    await bus.rules.put(Rule(name="b", pattern=json.dumps(failed)))
    for name in ("a", "b"):
        await bus.rules.put_targets(name, [Target(id="1", arn=QUEUE + name)])
    batch = Batch()
    for condition in ("Success", "RetriesExhausted"):
        bus.rules.sink(batch, "default", record(condition), {})
    assert bus.bodies("queue:a") == []
    await bus.store.commit(batch)
    good, bad = bus.bodies("queue:a")
    assert [good["detail-type"], bad["detail-type"]] == [
        "Lambda Function Invocation Result - Success",
        "Lambda Function Invocation Result - Failure",
    ]
    assert bus.bodies("queue:b") == [bad]
    assert bad["source"] == "lambda"
    assert bad["resources"] == [
        "arn:aws:events:us-east-1:123456789012:event-bus/default",
        f"{LAMBDA}f:$LATEST",
    ]
    assert bad["detail"] == json.loads(record("RetriesExhausted"))


async def test_a_record_that_cannot_be_read_is_refused_if_anybody_listens(bus: Bus) -> None:
    deep = b"[" * 100_000
    bus.rules.sink(Batch(), "default", deep, {})
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    with pytest.raises(MicrofaasError, match="cannot put the record on the bus"):
        bus.rules.sink(Batch(), "default", deep, {})


async def test_a_record_that_only_just_can_be_read_may_be_refused_too(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern='{"source": ["lambda"]}'))
    await bus.rules.put_targets("a", [Target(id="1", arn="a")])
    refused = 0
    for depth in range(800, 1000):
        deep = b', "x": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            bus.rules.sink(Batch(), "default", record("Success")[:-1] + deep, {})
        except MicrofaasError:
            refused += 1
    assert 0 < refused < 200


async def test_rules_and_their_ticks_outlive_a_crash(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    await bus.rules.put(Rule(name="tick", expression="rate(1 minute)"))
    for name in ("a", "tick"):
        await bus.rules.put_targets(name, [Target(id="1", arn=name)])
    await bus.again()
    await bus.put()
    await bus.pass_s(61)
    await bus.again()
    await bus.pass_s(60)
    assert len(bus.bodies("function:a")) == 1
    times = [event["time"] for event in bus.bodies("function:tick")]
    assert times == ["2026-12-08T12:01:00Z", "2026-12-08T12:02:00Z"]


async def test_a_disabled_rule_is_silent_and_makes_up_for_nothing(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP, expression="rate(1 minute)"))
    await bus.rules.put_targets("a", [Target(id="1", arn="f")])
    await bus.rules.switch("a", "DISABLED")
    await bus.put()
    await bus.pass_s(600, 30)
    await bus.again()
    await bus.rules.switch("a", "ENABLED")
    await bus.pass_s(30)
    assert bus.bodies("function:f") == []
    await bus.pass_s(30)
    assert len(bus.bodies("function:f")) == 1


async def test_a_rule_that_gets_its_schedule_back_begins_anew(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", expression="rate(1 hour)"))
    await bus.rules.put_targets("a", [Target(id="1", arn="f")])
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    await bus.pass_s(5 * 3600, 600)
    await bus.rules.put(Rule(name="a", expression="rate(1 hour)"))
    await bus.pass_s(3599, 59)
    assert bus.bodies("function:f") == []


async def test_a_rule_changed_between_ticks_keeps_its_step(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", expression="rate(1 minute)"))
    await bus.pass_s(59)
    await bus.rules.put_targets("a", [Target(id="1", arn="f")])
    await bus.pass_s(1)
    assert len(bus.bodies("function:f")) == 1


async def test_a_deleted_rule_is_forgotten(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", expression="rate(1 minute)"))
    await bus.rules.put_targets("a", [Target(id="1", arn="f")])
    with pytest.raises(ServiceError, match="since it has targets"):
        await bus.rules.delete("a")
    assert await bus.rules.remove_targets("a", ["1", "2"]) == ["2"]
    await bus.rules.delete("a")
    await bus.rules.delete("a")
    await bus.again()
    assert bus.rules.all() == []
    assert bus.schedules.keys() == []


async def test_a_function_must_permit_the_rule(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP, expression="rate(1 minute)"))
    dead = f"{QUEUE}dead"
    targets = [
        Target(id="1", arn=f"{LAMBDA}f", input='"1"', dead_letter=dead),
        Target(id="2", arn=f"{LAMBDA}f:live", input='"2"'),
        Target(id="3", arn="g", input='"3"'),
    ]
    await bus.rules.put_targets("a", targets)
    bus.refused = {(bus.rules.arn("a"), "f", ""), (bus.rules.arn("a"), "g", "")}
    await bus.put()
    assert bus.bodies("queue:dead") == ["1"]
    assert bus.bodies("function:f") == ["2"]
    assert bus.bodies("function:g") == []
    (buried,) = DeadLetters(bus.db).page()
    assert (buried.letter.event, buried.letter.function) == (b'"3"', "g")
    assert "does not permit" in json.loads(buried.letter.error)
    await bus.pass_s(61)
    assert bus.bodies("queue:dead") == ["1", "1"]


async def test_a_functions_own_trigger_asks_nobody(bus: Bus) -> None:
    rule = Rule(name="a", pattern=SHOP, targets=(Target(id="1", arn="f"),), declared=True)
    bus.rules.declare([rule])
    bus.refused = {(bus.rules.arn("a"), "f", "")}
    await bus.put()
    assert len(bus.bodies("function:f")) == 1


async def test_all_that_an_event_gives_rise_to_has_its_trace(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    targets = [
        Target(id="1", arn=f"{LAMBDA}f"),
        Target(id="2", arn=f"{QUEUE}q"),
        Target(id="3", arn=f"{LAMBDA}nobody", dead_letter=f"{QUEUE}dead"),
    ]
    await bus.rules.put_targets("a", targets)
    await bus.put("Root=1")
    (message,) = bus.store.ready("function:f", 0, 9)[0]
    assert events.decode_attributes(message.attributes).trace_id == "Root=1"
    assert bus.traces == [("q", "Root=1"), ("dead", "Root=1")]


async def test_what_cannot_be_sent_goes_to_the_dead_letter_queue(bus: Bus) -> None:
    await bus.rules.put(Rule(name="a", pattern=SHOP))
    dead = f"{QUEUE}dead"
    targets = [
        Target(id="1", arn=f"{LAMBDA}nobody", dead_letter=dead, input='"1"'),
        Target(id="2", arn=f"{QUEUE}gone", dead_letter=dead, input='"2"'),
        Target(id="3", arn=f"{QUEUE}gone", dead_letter=f"{QUEUE}gone", input='"3"'),
        Target(id="4", arn=f"{LAMBDA}nobody", input='"4"'),
        Target(id="5", arn="arn:aws:sns:us-east-1:123456789012:t", input='"5"'),
        Target(id="6", arn="f", input='"6"'),
    ]
    await bus.rules.put_targets("a", targets)
    await bus.put()
    assert bus.bodies("queue:dead") == ["1", "2"]
    letters = [buried.letter for buried in DeadLetters(bus.db).page()]
    assert {(letter.event, letter.queue) for letter in letters} == {
        (b'"3"', ""),
        (b'"4"', "function:nobody"),
        (b'"5"', ""),
    }
    assert {letter.source for letter in letters} == {"rule:a"}
    assert bus.bodies("function:f") == ["6"]


async def test_a_schedule_runs_once_and_is_deleted_with_that(bus: Bus) -> None:
    timed = Timed(
        name="s",
        expression="at(2026-12-08T13:01:00)",
        timezone="Europe/Berlin",
        target=Target(arn="f", input='"<aws.scheduler.schedule-arn>"'),
        after="DELETE",
    )
    await bus.scheduler.create(timed)
    await bus.again()
    await bus.pass_s(59)
    assert bus.scheduler.get("s").created_s > 0
    await bus.pass_s(1)
    await bus.again()
    await bus.pass_s(60)
    assert bus.bodies("function:f") == [
        "arn:aws:scheduler:us-east-1:123456789012:schedule/default/s"
    ]
    assert bus.scheduler.all() == []
    assert bus.schedules.keys() == []


async def test_a_rate_of_schedulers_begins_at_once_or_at_its_start(bus: Bus) -> None:
    target = Target(arn="f", input="1")
    await bus.scheduler.create(Timed(name="now", expression="rate(1 hour)", target=target))
    await bus.schedules.look()
    assert len(bus.bodies("function:f")) == 1
    start_s = bus.clocks.now_s + 90
    later = Timed(name="later", expression="rate(1 minute)", target=target, start_s=start_s)
    await bus.scheduler.create(later)
    await bus.pass_s(89)
    assert len(bus.bodies("function:f")) == 1
    await bus.pass_s(61)
    assert len(bus.bodies("function:f")) == 3


async def test_an_update_replaces_all_but_the_creation(bus: Bus) -> None:
    target = Target(arn="f")
    await bus.scheduler.create(Timed(name="s", expression="rate(1 hour)", target=target))
    made_s = bus.scheduler.get("s").created_s
    bus.clocks.pass_s(5)
    changed = Timed(name="s", expression="rate(2 hours)", target=target, state="DISABLED")
    await bus.scheduler.update(changed)
    await bus.again()
    got = bus.scheduler.get("s")
    assert (got.expression, got.created_s, got.changed_s) == (
        "rate(2 hours)",
        made_s,
        made_s + 5,
    )
    assert bus.schedules.all() == []


async def test_a_flexible_window_delays(bus: Bus) -> None:
    timed = Timed(name="s", expression="rate(1 day)", target=Target(arn="f"), window_min=1440)
    await bus.scheduler.create(timed)
    await bus.schedules.look()
    [message] = bus.store.newest("function:f", 1)
    assert bus.store.now_ms() < message.due_ms < bus.store.now_ms() + 12 * 3600 * 1000


@pytest.mark.parametrize(
    ("timed", "text"),
    [
        ({"expression": "*/5 * * * *"}, "Invalid Schedule Expression"),
        ({"expression": "rate(5 minute)"}, "Invalid Schedule Expression rate\\(5 minute\\)"),
        ({"timezone": "Mars/Base"}, "Mars/Base"),
        ({"start_s": 5.0, "end_s": 5.0}, "EndDate"),
    ],
)
async def test_what_scheduler_refuses(bus: Bus, timed: dict[str, Any], text: str) -> None:
    whole = {"name": "s", "expression": "rate(1 day)", "target": Target(arn="f")} | timed
    with pytest.raises(ServiceError, match=text):
        await bus.scheduler.create(Timed(**whole))
    assert bus.scheduler.all() == []
