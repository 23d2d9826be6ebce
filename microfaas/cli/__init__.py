"""The command line: `microfaas COMMAND`. Each command is a file here and a row in the table."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from microfaas import __version__
from microfaas.cli import exits


class Row(NamedTuple):
    """Where a command is, and what the overview says of it."""

    module: str
    help: str


# A command's module is imported when it is called, so that `--help` and completion are quick.
COMMANDS = MappingProxyType(
    {
        "run": Row("run", "Serve the functions of a project."),
        "deploy": Row("deploy", "Take a project's functions to a running microfaas."),
        "invoke": Row("invoke", "Run a function with an event and print its result."),
        "invocations": Row("invocations", "List the events that wait, run and have ended."),
        "result": Row("result", "Print what became of an event, or wait for it."),
        "cancel": Row("cancel", "Have an event not run, or no longer."),
        "dead": Row("dead", "Look at the events that were given up on, and send them again."),
        "list": Row("listing", "List the functions that are served, and their instances."),
        "schedules": Row("schedules", "List the schedules, with their last and next times."),
        "queue": Row("queue", "Send messages to queues, look into them, send dead ones again."),
        "logs": Row("logs", "Print what a function has logged, or follow it."),
        "usage": Row("usage", "Print what the functions took: time, memory, price."),
        "stream": Row("stream", "Put records into streams, and look at what is in them."),
        "keys": Row("keys", "Make and revoke the keys that callers need."),
        "secrets": Row("secrets", "Keep secrets for functions, encrypted."),
        "doctor": Row("doctor", "Tell what this machine enforces, and what it cannot."),
        "init": Row("init", "Make a new project with a working function and a test."),
        "completion": Row("completion", "Print the script that completes commands in a shell."),
    }
)

_EPILOG = """\
\b
Start with:
  microfaas init hello
  microfaas run hello
  microfaas invoke hello -d '{"name": "Ada"}'

\b
Exit codes: 0 done, 1 the function failed, 2 wrong usage or configuration,
100 failed and will fail again, 111 failed for now (not running, too busy).
"""


class Main(click.Group):
    """The commands of the table; whatever goes wrong in them ends as one message and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"microfaas.cli.{COMMANDS[cmd_name].module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=row.help)
            for name, row in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        with exits.translated():
            return super().invoke(ctx)


@click.group(cls=Main, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="microfaas")
def main() -> None:
    """AWS Lambda on one Linux box: runs unmodified Lambda handlers, each in its own isolated,
    limited and metered process."""
