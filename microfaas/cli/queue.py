"""`microfaas queue`: put messages into queues, look at them, and clear up."""

from __future__ import annotations

import sys
import time
from typing import Any, BinaryIO

import click

from microfaas.cli import output, project
from microfaas.client import Client

PEEK_MAX = 1000
# How often to ask how far a redrive has come.
LOOK_S = 0.2
SHOWN_CHARS_MAX = 80
_SQS = "AmazonSQS"
_COLUMNS = ("QUEUE", "READY", "IN FLIGHT", "DELAYED", "DEAD LETTERS GO TO")
_EPILOG = """\
\b
Examples:
  microfaas queue send orders -d '{"id": 7}'
  microfaas queue send orders.fifo -f order.json --group customer-7
  microfaas queue peek orders
  microfaas queue stats
  microfaas queue redrive orders-failed
  microfaas queue purge orders
"""
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("queue", epilog=_EPILOG)
def command() -> None:
    """Send messages to queues, look into them, empty them, and send dead letters again."""


@command.command("send")
@click.argument("name")
@click.argument("stdin", metavar="[-]", type=click.Choice(["-"]), required=False)
@click.option("-d", "--data", metavar="TEXT", help="The message.")
@click.option("-f", "--file", metavar="FILE", type=click.File("rb"), help="A file with it.")
@click.option("--delay", type=click.IntRange(0, 900), help="Seconds before it may be received.")
@click.option("--group", help="FIFO: the group whose order is kept.")
@click.option("--dedup", metavar="ID", help="FIFO: not taken twice in five minutes.")
@click.option(
    "--attribute",
    "attributes",
    metavar="NAME[:TYPE]=VALUE",
    multiple=True,
    help="A message attribute, a String unless TYPE is Number; may be repeated.",
)
@project.reaching
@_json
def send(
    name: str,
    stdin: str | None,
    data: str | None,
    file: BinaryIO | None,
    delay: int | None,
    group: str | None,
    dedup: str | None,
    attributes: tuple[str, ...],
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Send a message to the queue NAME and print its id. With "-" it comes from stdin."""
    fields = {
        "QueueUrl": name,
        "MessageBody": _body(stdin, data, file),
        "DelaySeconds": delay,
        "MessageGroupId": group,
        "MessageDeduplicationId": dedup,
        "MessageAttributes": dict(map(_attribute, attributes)) or None,
    }
    given = {key: value for key, value in fields.items() if value is not None}
    answer = project.reach(endpoint_url, key_file, ca_file).call(f"{_SQS}.SendMessage", **given)
    if as_json:
        output.show_json(answer)
    else:
        click.echo(answer["MessageId"])


@command.command("peek")
@click.argument("name")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, PEEK_MAX),
    default=10,
    show_default=True,
    help="How many.",
)
@project.reaching
@_json
def peek(
    name: str,
    limit: int,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Print what is in the queue NAME, without receiving it: what is next comes first."""
    answer = project.reach(endpoint_url, key_file, ca_file).messages(name, limit)
    if as_json:
        output.show_json(answer)
    elif answer["messages"]:
        rows = [_row(message) for message in answer["messages"]]
        output.show_table(("MESSAGE", "STATE", "RECEIVES", "BODY"), rows, right=("RECEIVES",))
    else:
        click.echo("The queue is empty.", err=True)


@command.command("purge")
@click.argument("name")
@project.reaching
def purge(name: str, endpoint_url: str | None, key_file: str | None, ca_file: str | None) -> None:
    """Throw away all that is in the queue NAME, received or not."""
    project.reach(endpoint_url, key_file, ca_file).call(f"{_SQS}.PurgeQueue", QueueUrl=name)


@command.command("stats")
@click.argument("name", required=False)
@project.reaching
@_json
def stats(
    name: str | None,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Print how much is in each queue, or in the queue NAME alone."""
    client = project.reach(endpoint_url, key_file, ca_file)
    names = [name] if name else _names(client)
    told = {each: _attributes_of(client, each) for each in names}
    if as_json:
        output.show_json(told)
    elif told:
        rows = [_counts(each, table) for each, table in told.items()]
        output.show_table(_COLUMNS, rows, right=_COLUMNS[1:4])
    else:
        click.echo("There are no queues.", err=True)


@command.command("redrive")
@click.argument("name")
@click.option("--to", metavar="QUEUE", help="Where to; else each goes back where it came from.")
@click.option("--rate", type=click.IntRange(1, 500), help="Messages per second at most.")
@click.option("--no-wait", is_flag=True, help="Only begin.")
@project.reaching
def redrive(
    name: str,
    to: str | None,
    rate: int | None,
    no_wait: bool,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
) -> None:
    """Move what is in the dead letter queue NAME back to the queues it came from."""
    client = project.reach(endpoint_url, key_file, ca_file)
    source: str = _attributes_of(client, name)["QueueArn"]
    asked: dict[str, object] = {"SourceArn": source}
    if to is not None:
        asked["DestinationArn"] = _attributes_of(client, to)["QueueArn"]
    if rate is not None:
        asked["MaxNumberOfMessagesPerSecond"] = rate
    client.call(f"{_SQS}.StartMessageMoveTask", **asked)
    if no_wait:
        return
    while (task := _task(client, source))["Status"] == "RUNNING":
        time.sleep(LOOK_S)
    if task["Status"] != "COMPLETED":
        raise click.ClickException(f"cannot redrive {name}: {task.get('FailureReason', task)}")
    click.echo(f"messages moved: {task['ApproximateNumberOfMessagesMoved']}", err=True)


def _body(stdin: str | None, data: str | None, file: BinaryIO | None) -> str:
    if sum(source is not None for source in (stdin, data, file)) != 1:
        raise click.UsageError('Give the message once: by -d, by -f or by "-".')
    if data is not None:
        return data
    source = sys.stdin.buffer if file is None else file
    try:
        return source.read().decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The message must be UTF-8 text: {error}.") from None


def _attribute(text: str) -> tuple[str, dict[str, str]]:
    key, equals, value = text.partition("=")
    name, _, kind = key.partition(":")
    if not equals or not name:
        raise click.UsageError(f"--attribute must be NAME=VALUE or NAME:TYPE=VALUE, not {text!r}.")
    return name, {"DataType": kind or "String", "StringValue": value}


def _row(message: dict[str, Any]) -> tuple[str, ...]:
    body = " ".join(message["body"].split())
    shown = body if len(body) <= SHOWN_CHARS_MAX else body[: SHOWN_CHARS_MAX - 1] + "…"
    receives = message["attributes"]["ApproximateReceiveCount"]
    return message["id"], message["state"], receives, shown


def _names(client: Client) -> list[str]:
    names: list[str] = []
    asked: dict[str, object] = {}
    while True:
        answer = client.call(f"{_SQS}.ListQueues", **asked)
        names += [url.rpartition("/")[2] for url in answer.get("QueueUrls", ())]
        if "NextToken" not in answer:
            return names
        asked = {"NextToken": answer["NextToken"]}


def _attributes_of(client: Client, name: str) -> dict[str, str]:
    asked = client.call(f"{_SQS}.GetQueueAttributes", QueueUrl=name, AttributeNames=["All"])
    found: dict[str, str] = asked["Attributes"]
    return found


def _counts(name: str, table: dict[str, str]) -> tuple[str, ...]:
    number = "ApproximateNumberOfMessages"
    target = table.get("RedrivePolicy", "").partition('"deadLetterTargetArn":"')[2]
    return (
        name,
        table[number],
        table[f"{number}NotVisible"],
        table[f"{number}Delayed"],
        target.partition('"')[0].rpartition(":")[2],
    )


def _task(client: Client, source: str) -> dict[str, Any]:
    """The queue's last redrive."""
    answer = client.call(f"{_SQS}.ListMessageMoveTasks", SourceArn=source)
    task: dict[str, Any] = answer["Results"][0]
    return task
