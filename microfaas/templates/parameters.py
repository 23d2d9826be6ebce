"""A template's Parameters: the values it is used with, checked as CloudFormation checks them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from microfaas import strict
from microfaas.errors import Problem
from microfaas.templates.document import Document

_SECTION = "Parameters"


def values(
    document: Document, given: Mapping[str, str], problems: list[Problem]
) -> dict[str, object]:
    """Each parameter's value: as given, or its default. Lists are lists."""
    declared = document.data.get(_SECTION) or {}
    for name in given:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"it has {_told(declared)}"
            problems.append(Problem(document.place((_SECTION,)), f"has no {name}; {hint}"))
    made = {}
    for name, row in declared.items():
        place = document.place((_SECTION, name))
        kind = str(row.get("Type", "String"))
        text = given.get(name, row.get("Default"))
        if text is None:
            what = f"the parameter {name} has no default; give it with --parameter {name}=VALUE"
            problems.append(Problem(place, what))
        elif kind.startswith("AWS::SSM::") and name not in given:
            what = f"the parameter {name} is in AWS's Parameter Store, which microfaas has not; "
            what += f"give it with --parameter {name}=VALUE"
            problems.append(Problem(place, what))
        else:
            made[name] = _typed(kind, text)
            for fault in _faults(row, _text(text)):
                problems.append(Problem(place, f"the parameter {name} {fault}"))
    return made


def _told(declared: Mapping[str, Any]) -> str:
    return ", ".join(sorted(declared)) or "none"


def _typed(kind: str, text: object) -> object:
    if kind == "CommaDelimitedList" or "List<" in kind:
        return [part.strip() for part in _text(text).split(",")]
    return text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _faults(row: Mapping[str, Any], text: str) -> Iterator[str]:
    """What the declaration has against a value."""
    # Values that nobody is to see are not shown either.
    shown = "what was given" if row.get("NoEcho") else strict.shown(text)
    if allowed := row.get("AllowedValues"):
        texts = [_text(each) for each in allowed]
        if text not in texts:
            yield f"must be one of: {', '.join(texts)}, not {shown}"
    if (pattern := row.get("AllowedPattern")) and not re.fullmatch(str(pattern), text):
        yield f"must match {pattern}, not {shown}"
    if not int(row.get("MinLength", 0)) <= len(text) <= int(row.get("MaxLength", len(text))):
        yield f"must have {row.get('MinLength', 0)} to {row.get('MaxLength', '…')} characters"
    if row.get("Type") == "Number":
        yield from _number_faults(row, text, shown)


def _number_faults(row: Mapping[str, Any], text: str, shown: str) -> Iterator[str]:
    try:
        number = float(text)
    except ValueError:
        yield f"must be a number, not {shown}"
        return
    if "MinValue" in row and number < float(row["MinValue"]):
        yield f"must be at least {row['MinValue']}, not {shown}"
    if "MaxValue" in row and number > float(row["MaxValue"]):
        yield f"must be at most {row['MaxValue']}, not {shown}"
