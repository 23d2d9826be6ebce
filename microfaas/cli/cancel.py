"""`microfaas cancel`: an event is not to run, or no longer."""

from __future__ import annotations

import click

from microfaas.cli import output, project

_EPILOG = """\
\b
Examples:
  microfaas cancel 8f5c6e0a-...

One that waits is removed; one that runs is killed with its instance, and not tried again.
"""


@click.command("cancel", epilog=_EPILOG)
@click.argument("request_id", metavar="ID")
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know as JSON.")
def command(
    request_id: str,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Cancel the event with the request id ID."""
    record = project.reach(endpoint_url, key_file, ca_file).cancel(request_id)
    if as_json:
        output.show_json(record)
    else:
        click.echo(f"request {record['request_id']} is cancelled", err=True)
