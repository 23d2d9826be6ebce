"""`microfaas doctor`: what this machine holds functions to, and what languages it runs."""

from __future__ import annotations

from types import MappingProxyType

import click
import msgspec

from microfaas.cli import output
from microfaas.linux import machine
from microfaas.linux.facilities import Facility
from microfaas.runtime import Runtimes

_STYLES = MappingProxyType(
    {"enforced": "green", "sampled": "yellow", "off": "red", "missing": "yellow"}
)
_EPILOG = """\
It is found out by trying, as the user who runs it: as another one, the answer may be another.

\b
Example, failing when memory is not enforced:
  microfaas doctor --json |
    jq -e '.facilities[] | select(.name == "memory").state == "enforced"'
"""


@click.command("doctor", epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Tell what this machine enforces, what is only sampled, what is off, and why.

    Then which languages it can run, with which interpreter, and how to get those that are missing.
    """
    facilities = machine.probe().facilities
    runtimes = Runtimes().survey()
    if as_json:
        found = {"facilities": facilities, "runtimes": runtimes}
        output.show_json(msgspec.to_builtins(found))
        return
    rows = [(facility.name, facility.state, facility.how) for facility in facilities]
    output.show_table(("WHAT", "STATE", "HOW"), rows, styles=_STYLES)
    weak = [facility for facility in facilities if facility.state != "enforced"]
    click.echo("\n".join(_advice(weak)) if weak else "All of it is enforced.")
    click.echo()
    languages = [(row.name, row.version or "missing", row.path or row.why) for row in runtimes]
    output.show_table(("RUNTIME", "VERSION", "INTERPRETER"), languages, styles=_STYLES)


def _advice(weak: list[Facility]) -> list[str]:
    """Each reason once: several facilities often share one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for facility in weak:
        reasons.setdefault((facility.why, facility.fix), []).append(facility.name)
    lines = []
    for (why, fix), names in reasons.items():
        lines.append(f"Not enforced: {'; '.join(names)}")
        lines += [f"  why: {why}"] if why else []
        lines += [f"  fix: {fix}"] if fix else []
    return lines
