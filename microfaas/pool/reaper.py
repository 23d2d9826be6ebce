"""Ends processes and clears up after them, however long they take to die."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

_log = logging.getLogger("microfaas.pool")


class Mortal(Protocol):
    """A zygote or an instance."""

    def kill(self) -> None:
        """End it and everything it started, now. Safe to repeat."""

    def close(self) -> bool:
        """Let go of what it held; False when it is not quite gone and this must be repeated."""


class Reaper:
    """What was ended and is not cleared up yet."""

    def __init__(self) -> None:
        self._leaving: dict[Mortal, None] = {}
        self.work = asyncio.Event()

    def end(self, mortal: Mortal) -> None:
        """Kill it, and clear up as soon as the kernel has let go of it.

        In the loop's next turn: killing takes the kernel a while, and whoever ends an instance
        mostly has a reply to send.
        """
        if mortal not in self._leaving:
            asyncio.get_running_loop().call_soon(self._kill, mortal)
            self._leaving[mortal] = None
            self.work.set()

    def _kill(self, mortal: Mortal) -> None:
        if mortal not in self._leaving:
            return  # it was gone already, and is cleared up
        try:
            mortal.kill()
        except OSError as error:
            _log.error("cannot end a process: %s", error)

    def clear(self) -> None:
        """Clear up whatever is gone by now."""
        for mortal in [mortal for mortal in self._leaving if self._close(mortal)]:
            del self._leaving[mortal]
        if not self._leaving:
            self.work.clear()

    def _close(self, mortal: Mortal) -> bool:
        try:
            return mortal.close()
        except OSError as error:
            _log.error("cannot clear up after a process: %s", error)
            return True
