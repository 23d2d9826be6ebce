"""`microfaas run`: serve a project until told to stop."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from microfaas import __version__, log
from microfaas.cli.parameters import parameters
from microfaas.config import Trigger
from microfaas.model import Function

if TYPE_CHECKING:
    from microfaas.linux.facilities import Facility
    from microfaas.server import Serving

_EPILOG = """\
\b
Examples:
  microfaas run                        the project in this directory
  microfaas run examples/hello         another one
  microfaas run app.py:handler         one handler, without any configuration
  microfaas run template.yaml --parameter Stage=test
                                       what an AWS SAM template describes
  microfaas run --listen 0.0.0.0:9000  for the whole network; callers need a key

SIGTERM and Ctrl-C stop it: running invocations may finish, nothing new is taken.
"""


@click.command("run", epilog=_EPILOG)
@click.argument("path", default=".")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of the file's.")
@click.option("--data", metavar="DIR", help="Directory of logs, store and code.")
@parameters
@click.option(
    "--require",
    type=click.Choice(["enforced"]),
    help="Do not start where a limit would be sampled only, or not be kept at all.",
)
@click.option("--adopt", is_flag=True, help="Let the API take over functions of the file.")
@click.option("--insecure", is_flag=True, help="Ask nobody for a key, wherever it listens.")
@click.option("-v", "--verbose", count=True, help="Tell more of what happens.")
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    listen: str | None,
    data: str | None,
    parameter: Mapping[str, str],
    require: str | None,
    adopt: bool,
    insecure: bool,
    verbose: int,
) -> None:
    """Serve the functions of a project.

    PATH is a folder with a microfaas.toml, such a file, FILE.py:HANDLER, or an AWS SAM template.
    """
    # Imported late, for --help and completion are to be quick.
    from microfaas import server
    from microfaas.cli import source

    log.setup(verbose, color=sys.stderr.isatty())
    named = source.serving(path, parameter, listen, data)
    for line in source.passed_over(named):
        click.echo(line, err=True)
    loaded = msgspec.structs.replace(
        named.config, insecure=insecure, require_enforced=require is not None
    )
    if adopt:
        loaded = msgspec.structs.replace(
            loaded, api=msgspec.structs.replace(loaded.api, adopt=True)
        )
    ctx.exit(server.serve(loaded, announce))


def announce(serving: Serving) -> None:
    """Print what is served."""
    # Whoever started the server need not read this, and may have closed our stdout.
    with contextlib.suppress(OSError):
        click.echo("\n".join(_lines(serving)))


def _lines(serving: Serving) -> Iterator[str]:
    yield f"microfaas {__version__} serves {click.style(serving.url, bold=True)}"
    yield from _access(serving)
    for function in serving.config.functions:
        yield ""
        yield from _function(function, serving)
    if serving.made:
        yield ""
        yield f"{serving.made} functions of the API; microfaas list names them."
    elif not serving.config.functions:
        yield "There is no function in it: microfaas.toml needs a [functions.NAME]."
    weak = [facility for facility in serving.machine if facility.state != "enforced"]
    if weak:
        yield ""
        yield click.style("Not enforced on this machine:", fg="yellow")
        yield from map(_weakness, weak)
    yield ""


def _access(serving: Serving) -> Iterator[str]:
    """Who may call, and what is wrong with that."""
    if serving.access == "loopback":
        yield "Every program on this machine may call: no key is asked for."
        return
    if serving.access == "insecure":
        yield click.style("Everybody who reaches it may call: no key is asked for.", fg="yellow")
    else:
        yield "Callers need a key."
        if not serving.keys:
            hint = "microfaas keys create NAME --allow invoke"
            yield click.style(f"There is none yet; make one: {hint}", fg="yellow")
    if serving.exposed and serving.config.tls is None:
        yield click.style(
            "Requests travel in clear: set certificate and key in [tls].", fg="yellow"
        )


def _function(function: Function, serving: Serving) -> Iterator[str]:
    name = click.style(function.name, fg="cyan", bold=True)
    yield f"{name}  {function.runtime}  {function.handler}"
    yield f"  {serving.url}/2015-03-31/functions/{function.name}/invocations"
    yield f"  {_limits(function)}"
    for trigger in serving.config.triggers:
        if trigger.function == function.name:
            yield f"  {_trigger(trigger)}"


def _limits(function: Function) -> str:
    limits = function.limits
    cpu = "" if limits.cpu is None else f", {limits.cpu:g} CPU"
    return (
        f"{limits.memory_mb} MB, {limits.timeout_s:g} s{cpu}, "
        f"{limits.concurrency_max} at once, {limits.waiting_max} waiting"
    )


def _trigger(trigger: Trigger) -> str:
    """A trigger of any kind: its settings as far as they are not the defaults."""
    chosen = _chosen(trigger.settings)
    if trigger.qualifier:
        chosen.append(f"qualifier={trigger.qualifier}")
    return " ".join([f"{trigger.kind}:", *chosen])


def _chosen(settings: msgspec.Struct) -> list[str]:
    values = [(field, getattr(settings, field.name)) for field in msgspec.structs.fields(settings)]
    return [
        f"{field.name}={_shown(value)}"
        for field, value in values
        if field.required or value != _default(field)
    ]


def _shown(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return f"{{{' '.join(_chosen(value))}}}"
    return msgspec.to_builtins(value)


def _default(field: msgspec.structs.FieldInfo) -> object:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()


def _weakness(facility: Facility) -> str:
    state = "is only sampled" if facility.state == "sampled" else "is off"
    how = f" ({facility.how})" if facility.how else ""
    why = f": {facility.why}" if facility.why else ""
    fix = f"\n    to fix it: {facility.fix}" if facility.fix else ""
    return f"  {facility.name} {state}{how}{why}{fix}"
