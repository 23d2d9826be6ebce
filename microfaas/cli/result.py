"""`microfaas result`: what became of an event."""

from __future__ import annotations

import json
from typing import Any

import click

from microfaas.cli import exits, output, project
from microfaas.client import Client
from microfaas.dispatch.history import WAIT_S_MAX

_EPILOG = """\
\b
Examples:
  microfaas result 8f5c6e0a-...
  microfaas result 8f5c6e0a-... --wait | jq .total

The id is what "microfaas invoke --async" prints. The result goes to stdout, everything else to
stderr. Exit code 1 means that the function failed, 111 that the event has not ended.
"""


@click.command("result", epilog=_EPILOG)
@click.argument("request_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Until it has ended, however long that takes.")
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    request_id: str,
    wait: bool,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Print the result of the event with the request id ID."""
    record = _find(project.reach(endpoint_url, key_file, ca_file), request_id, wait)
    ended = record["finished_at"] is not None
    if as_json:
        output.show_json({**record, "payload": _decoded(record["payload"])})
    elif ended:
        click.echo(record["payload"])
    if not ended:
        exits.fail(_pending(record), exits.TEMPORARY)
    if record["status"] != "ok":
        exits.fail(_failed(record), exits.FUNCTION_FAILED)
    ctx.exit(0)


def _find(client: Client, request_id: str, wait: bool) -> dict[str, Any]:
    record = client.invocation(request_id)
    while wait and record["finished_at"] is None:
        record = client.invocation(request_id, WAIT_S_MAX)
    return record


def _pending(record: dict[str, Any]) -> str:
    text = f"request {record['request_id']} is {record['status']}, attempts so far: "
    text += str(record["attempts"])
    after = record["next_attempt_at"]
    return f"{text}, the next one at {after}" if after else text


def _failed(record: dict[str, Any]) -> str:
    attempts = f"attempts: {record['attempts']}"
    return f"request {record['request_id']} ended as {record['status']}, {attempts}"


def _decoded(payload: str | None) -> Any:
    """The result as JSON, unless it was too large to be kept whole."""
    try:
        return None if payload is None else json.loads(payload)
    except ValueError:
        return payload
