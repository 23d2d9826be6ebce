"""`microfaas completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
_EPILOG = """\
\b
To have it in every new shell:
  bash: echo 'eval "$(microfaas completion bash)"' >> ~/.bashrc
  zsh:  echo 'eval "$(microfaas completion zsh)"' >> ~/.zshrc
  fish: microfaas completion fish > ~/.config/fish/completions/microfaas.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def command(ctx: click.Context, shell: str | None) -> None:
    """Print the completion script for SHELL, by default the one in $SHELL."""
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise click.UsageError(f"Name the shell, one of: {', '.join(SHELLS)}.")
    main = ctx.find_root().command
    click.echo(kind(main, {}, "microfaas", "_MICROFAAS_COMPLETE").source())
