"""microfaas's own log."""

from __future__ import annotations

import logging
import sys
from types import MappingProxyType

_LEVEL_COLORS = MappingProxyType({"debug": "2", "warning": "33", "error": "31", "critical": "31"})


def setup(verbosity: int, color: bool) -> None:
    """Send microfaas's own log to stderr: what happens at 0, its details at 1, faults at -1."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain(color))
    logger = logging.getLogger("microfaas")
    logger.handlers = [handler]
    logger.propagate = False
    level = logging.DEBUG if verbosity > 0 else logging.INFO
    logger.setLevel(logging.WARNING if verbosity < 0 else level)


class _Plain(logging.Formatter):
    """`HH:MM:SS level message`."""

    def __init__(self, color: bool) -> None:
        super().__init__("%(asctime)s %(level)s %(message)s", "%H:%M:%S")
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        name = record.levelname.lower()
        code = _LEVEL_COLORS.get(name) if self._color else None
        record.level = f"\x1b[{code}m{name}\x1b[0m" if code else name
        return super().format(record)
