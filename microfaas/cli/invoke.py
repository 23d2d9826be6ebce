"""`microfaas invoke`: run a function once."""

from __future__ import annotations

import json
import sys
from typing import BinaryIO

import click

from microfaas.cli import exits, output, project
from microfaas.client import Reply

_EPILOG = """\
\b
Examples:
  microfaas invoke hello -d '{"name": "Ada"}'
  microfaas invoke thumbnail -f event.json --tail
  generate-order | microfaas invoke Order - | jq .total
  microfaas invoke report --async

The result goes to stdout, everything else to stderr. Without an event the function gets {}.
The server is looked for at --endpoint-url, else $MICROFAAS_ENDPOINT_URL, else where the
microfaas.toml in this directory says, else at http://127.0.0.1:9000. Where a key is asked for, it
is taken from --key-file, else from $MICROFAAS_KEY.

Exit code 1 means that the function itself failed; stdout then has its error.
"""


@click.command("invoke", epilog=_EPILOG)
@click.argument("name")
@click.argument("stdin", metavar="[-]", type=click.Choice(["-"]), required=False)
@click.option("-d", "--data", metavar="JSON", help="The event.")
@click.option("-f", "--file", metavar="FILE", type=click.File("rb"), help="A file with the event.")
@click.option("--async", "event", is_flag=True, help="Hand the event over, await no result.")
@click.option("--tail", is_flag=True, help="Print the end of the invocation's log to stderr.")
@click.option("--client-context", metavar="JSON", help="What context.client_context is to be.")
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    stdin: str | None,
    data: str | None,
    file: BinaryIO | None,
    event: bool,
    tail: bool,
    client_context: str | None,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Run the function NAME with an event and print its result.

    NAME may carry a qualifier (NAME:1) or be an ARN. With "-" the event comes from stdin.
    """
    if event and tail:
        raise click.UsageError("--tail needs the result, which --async does not await.")
    reply = project.reach(endpoint_url, key_file, ca_file).invoke(
        name,
        _event(stdin, data, file),
        event=event,
        tail=tail,
        client_context=None if client_context is None else client_context.encode(),
    )
    if as_json:
        output.show_json(_as_table(reply))
    else:
        _show(reply)
    if reply.function_error:
        ctx.exit(exits.FUNCTION_FAILED)


def _event(stdin: str | None, data: str | None, file: BinaryIO | None) -> bytes:
    if sum(source is not None for source in (stdin, data, file)) > 1:
        raise click.UsageError('Give the event once: by -d, by -f or by "-".')
    if data is not None:
        return data.encode()
    source = sys.stdin.buffer if stdin else file
    return source.read() if source else b"{}"


def _show(reply: Reply) -> None:
    if reply.log_tail:
        click.echo(reply.log_tail, err=True, nl=not reply.log_tail.endswith("\n"))
    if reply.status == 202:
        click.echo(f"accepted as request {reply.request_id}", err=True)
    else:
        click.echo(reply.payload)
    if reply.function_error:
        text = f"the function failed ({reply.function_error}), request {reply.request_id}"
        click.echo(f"{click.style('microfaas:', fg='red')} {text}", err=True)


def _as_table(reply: Reply) -> dict[str, object]:
    try:
        payload = json.loads(reply.payload) if reply.payload else None
    except ValueError:
        payload = reply.payload.decode(errors="replace")
    return {**reply._asdict(), "payload": payload}
