"""How a command ends: one message on stderr and an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from microfaas.errors import (
    ConfigError,
    MachineError,
    MicrofaasError,
    ShuttingDown,
    TooManyRequests,
)

FUNCTION_FAILED = 1
USAGE = 2
PERMANENT = 100
TEMPORARY = 111
# As shells report a program that SIGINT or SIGPIPE ended.
INTERRUPTED = 130
BROKEN_PIPE = 141

TRACEBACK_VARIABLE = "MICROFAAS_TRACEBACK"


def fail(message: str, code: int) -> NoReturn:
    """End the command with a message and a code."""
    click.echo(f"{click.style('microfaas:', fg='red')} {message}", err=True)
    raise click.exceptions.Exit(code)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what a command raises into its end."""
    try:
        yield
        sys.stdout.flush()
    except MicrofaasError as error:
        fail(str(error), code_of(error))
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _silence_stdout()
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fail(f"cannot go on: {place}{error.strerror or error}", TEMPORARY)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        text = f"cannot go on, which is a fault of microfaas: {type(error).__name__}: {error}"
        hint = f"set {TRACEBACK_VARIABLE}=1 to see where"
        fail(f"{text}; {hint}", PERMANENT)


def code_of(error: MicrofaasError) -> int:
    """Whether it was the usage, will go wrong again, or may work later."""
    # Imported late, because most commands talk to nobody.
    from microfaas.client import AnswerLost, ClientError, NotRunning

    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, ClientError):
        return TEMPORARY if error.temporary else PERMANENT
    passing = (NotRunning, AnswerLost, MachineError, ShuttingDown, TooManyRequests)
    return TEMPORARY if isinstance(error, passing) else PERMANENT


def _silence_stdout() -> None:
    """Whoever read our output is gone; what is still buffered must not complain at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
