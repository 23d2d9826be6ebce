"""Imports what many functions import: numpy and boto3."""

# They are installed for the function, not for who checks its types.
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

from typing import Any

import boto3
import numpy


def handler(event: Any, context: Any) -> Any:
    return {"numpy": numpy.__version__, "boto3": boto3.__version__}
