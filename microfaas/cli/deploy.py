"""`microfaas deploy`: take a project or a template to a running gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from microfaas.cli import exits, output, project
from microfaas.cli.deployment import canary as trying
from microfaas.cli.deployment.canary import Canary, Trial, share
from microfaas.cli.durations import seconds
from microfaas.cli.parameters import parameters
from microfaas.errors import InvalidRequest

if TYPE_CHECKING:
    from microfaas.cli.deployment.changes import Changes
    from microfaas.cli.source import Source
    from microfaas.templates.stack import Stack

_EPILOG = """\
\b
Examples:
  microfaas deploy                          the project in this directory
  microfaas deploy template.yaml --parameter Stage=prod
  microfaas deploy --function orders        one function alone, without queues and the like
  microfaas deploy --alias live             publish what is deployed, and let `live` mean it
  microfaas deploy --alias live --canary 10% --for 10m --rollback-on 'errors>2%'
  microfaas deploy --dry-run                tell what would change
  microfaas deploy --gateway https://box:9000 --key-file key

What is there already and is the same is left alone; nothing is ever deleted.
"""
FOR_S = 600
_COLUMNS = ("DID", "KIND", "NAME", "WHAT")


@click.command("deploy", epilog=_EPILOG)
@click.argument("path", default=".")
@click.option("--function", "chosen", multiple=True, metavar="NAME", help="Only this function.")
@parameters
@click.option("--alias", metavar="NAME", help="Publish each function, and let the alias mean it.")
@click.option("--canary", callback=share, metavar="SHARE", help="First so much of its calls: 10%.")
@click.option("--for", "for_s", callback=seconds, metavar="TIME", help="How long; default 10m.")
@click.option(
    "--rollback-on",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Go back as soon as it holds: 'errors>2%', 'mean>200ms', 'p99>1s'.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be changed.")
@click.option("--gateway", metavar="URL", help="Where it goes; the same as --endpoint-url.")
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
def command(
    path: str,
    chosen: tuple[str, ...],
    parameter: Mapping[str, str],
    alias: str | None,
    canary: float | None,
    for_s: int | None,
    rules: tuple[str, ...],
    dry_run: bool,
    gateway: str | None,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """Take functions, and what they need, to a running microfaas.

    PATH is a folder with a microfaas.toml, such a file, or an AWS SAM template.
    """
    # Imported late, for --help and completion are to be quick.
    from microfaas.cli import source
    from microfaas.cli.deployment.changes import Changes

    tried = _canary(alias, canary, for_s, rules)
    client = project.reach(gateway or endpoint_url, key_file, ca_file)
    changes = Changes(client, dry=dry_run)
    try:
        begun = _deploy(
            source.deploying(path, parameter, client.url), chosen, alias, tried, changes
        )
    except BaseException:
        # What was done is told, too, when the rest could not be.
        if changes.made:
            _show(changes, as_json)
        raise
    _show(changes, as_json)
    ended = trying.follow(client, begun, lambda line: click.echo(line, err=True))
    if any(each["state"] != "completed" for each in ended):
        raise click.exceptions.Exit(exits.FUNCTION_FAILED)


def _canary(
    alias: str | None, share: float | None, for_s: int | None, rules: tuple[str, ...]
) -> Canary | None:
    if share is None:
        if for_s is not None or rules:
            raise click.UsageError("--for and --rollback-on go with --canary.")
        return None
    if alias is None:
        raise click.UsageError("--canary goes with --alias, whose calls are shared.")
    # Imported late, as above.
    from microfaas.control import rollouts

    tried = Canary(share, FOR_S if for_s is None else for_s, rules)
    try:
        rollouts.check(*tried)
    except InvalidRequest as error:
        raise click.UsageError(str(error)) from None
    return tried


def _deploy(
    source: Source,
    chosen: tuple[str, ...],
    alias: str | None,
    canary: Canary | None,
    changes: Changes,
) -> list[Trial]:
    """The canaries that have begun. What can be refused beforehand is, with nothing changed; and
    they begin last, when nothing else can be refused any more."""
    from microfaas import reloading
    from microfaas.cli.deployment import aliases, events, resources, topics, wanted
    from microfaas.cli.deployment.functions import Functions
    from microfaas.cli.deployment.triggers import Triggers

    config, address = source.config, source.config.address
    all_wanted = wanted.functions(source, chosen)
    wanted.check_resources(config)
    triggers = Triggers(changes, all_wanted)
    triggers.check(None if chosen else config)
    tried = alias if canary is not None else None
    if tried is not None:
        trying.check(changes, [each.name for each in all_wanted], tried)
    if not chosen:
        resources.queues(changes, config.queues, address)
        resources.streams(changes, config.streams)
        topics.topics(changes, config.topics, address)
    functions = Functions(changes, reloading.not_code(config))
    for each in all_wanted:
        functions.deploy(each)
    # Whatever calls a function may do so at once, by any name that it has.
    names = {each.name: _names(source, each.name, alias) for each in all_wanted}
    trials = [
        trial
        for each in all_wanted
        for trial in _point(changes, each.name, names[each.name], tried)
    ]
    for each in all_wanted:
        for name in ("", *names[each.name]):
            events.see_through(changes, each, name)
        if source.stack is not None:
            _surround(source.stack, each.name, changes)
    triggers.put()
    for each in all_wanted:
        for name in aliases.missing(changes, each, names[each.name]):
            what = f"{each.name}:{name}, which is not there: --alias {name} makes it"
            click.echo(f"what fires {each.name} waits for {what}", err=True)
    if not chosen:
        topics.subscriptions(changes, config.subscriptions, address)
    if canary is not None:
        trying.begin(changes, trials, canary)
    return [] if changes.dry else trials


def _names(source: Source, function: str, alias: str | None) -> list[str]:
    """A function's aliases: those of the template, and the one that is told."""
    of_stack = source.stack.aliases if source.stack is not None else []
    names = [each.name for each in of_stack if each.function == function]
    return [*dict.fromkeys([*names, *([alias] if alias else [])])]


def _point(
    changes: Changes, function: str, names: Sequence[str], tried: str | None
) -> Iterator[Trial]:
    """Have aliases mean what is deployed now; gives what is to be tried first, instead."""
    from microfaas.cli.deployment import aliases

    version = aliases.publish(changes, function) if names else ""
    for name in names:
        if name != tried:
            aliases.point(changes, function, name, version)
        elif (trial := trying.trial(changes, function, name, version)) is not None:
            yield trial


def _surround(stack: Stack, function: str, changes: Changes) -> None:
    """What a template has of a function beside it and its aliases."""
    from microfaas.cli.deployment import aliases, mappings

    for mapping in stack.mappings:
        if mapping.function == function:
            mappings.read(changes, mapping)
    for url in stack.urls:
        if url.function == function:
            aliases.open_url(changes, url)
    for permission in stack.permissions:
        if permission.function == function:
            aliases.permit(changes, permission.function, permission.settings, permission.qualifier)


def _show(changes: Changes, as_json: bool) -> None:
    if as_json:
        told = [change._asdict() for change in changes.made]
        output.show_json({"dry_run": changes.dry, "changes": told})
        return
    if changes.made:
        rows = [(row.did, row.kind, row.name, row.what) for row in changes.made]
        output.show_table(_COLUMNS, rows)
    if changes.dry:
        click.echo("this was a dry run: nothing is changed", err=True)
    elif not changes.made:
        click.echo("nothing is changed", err=True)
