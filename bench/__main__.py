"""`python -m bench`: runs the scenarios and prints what they found."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import TextIO

from bench import (
    burst,
    cold,
    deploy,
    drops,
    durable,
    fairness,
    fence,
    languages,
    memory,
    throughput,
    warm,
)
from bench.client import AnswerError
from bench.effort import FULL, QUICK, Effort
from bench.endpoint import MissingError, StartError
from bench.report import Row, json_line, table

Scenario = Callable[[Effort], list[Row]]

SCENARIOS: Mapping[str, Scenario] = {
    "warm": warm.run,
    "throughput": throughput.run,
    "cold": cold.run,
    "cold-imports": cold.run_imports,
    "burst": burst.run,
    "idle-memory": memory.run_idle,
    "at-rest": memory.run_at_rest,
    "file-drop": drops.run,
    "fence": fence.run,
    "fairness": fairness.run,
    "languages": languages.run,
    "events": durable.run,
    "deploy": deploy.run,
}


def main() -> None:
    arguments = parse()
    if arguments.list:
        print("\n".join(SCENARIOS))
        return
    rows = [row for name in arguments.scenarios or SCENARIOS for row in measured(name, arguments)]
    if arguments.json == "-":
        write(rows, sys.stdout)
        return
    if arguments.json:
        with open(arguments.json, "w") as file:
            write(rows, file)
    print(table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="NAME", help="default: all of them")
    parser.add_argument("--list", action="store_true", help="print the scenarios' names")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, rougher figures")
    parser.add_argument("--json", metavar="FILE", help="also JSON lines; `-`: nothing else")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    return arguments


def measured(name: str, arguments: argparse.Namespace) -> list[Row]:
    """One scenario's rows; when it cannot run, a row that says why, and the others go on."""
    print(f"bench: {name} …", file=sys.stderr)
    try:
        return SCENARIOS[name](QUICK if arguments.quick else FULL)
    except (MissingError, StartError, AnswerError, OSError) as error:
        note = str(error)
    except Exception:  # the fault of one scenario is no reason to lose the others' figures
        note = traceback.format_exc()
    return [Row(scenario=name, unit="", target="not measured", note=note)]


def write(rows: Iterable[Row], file: TextIO) -> None:
    for row in rows:
        print(json_line(row), file=file)


if __name__ == "__main__":
    main()
