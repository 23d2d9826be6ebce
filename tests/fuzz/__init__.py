"""Fuzzing of what reads bytes that others write: `python -m tests.fuzz TARGET --seconds N`.

Each target is a module with a function `target(data)`, which raises when an invariant is broken,
and a function `seeds()`. What the fuzzer once broke is kept in `corpus/TARGET/`, made as small as
it would go; `test_corpus.py` tries all of it, and some mutations, with every run of the tests.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

TARGETS = (
    "frames",
    "lanes",
    "configuration",
    "archives",
    "signatures",
    "patterns",
    "log_filters",
    "aws_requests",
)
CORPUS = Path(__file__).with_name("corpus")


def target(name: str) -> Callable[[bytes], None]:
    """The function that a target's bytes are given to."""
    found: Callable[[bytes], None] = importlib.import_module(f"tests.fuzz.{name}").target
    return found


def kept(name: str) -> Mapping[str, bytes]:
    """The inputs in the corpus of a target: the seeds, and what once broke it."""
    made: dict[str, bytes] = importlib.import_module(f"tests.fuzz.{name}").seeds()
    found = {path.name: path.read_bytes() for path in sorted((CORPUS / name).glob("*"))}
    return {**made, **found}
