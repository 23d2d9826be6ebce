"""The log groups that functions print into: their files, read by group, stream and time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from microfaas.control.log_pages import Event, Range, Source
from microfaas.log import LogIndex, path_of
from microfaas.log.growing import LogTail
from microfaas.log.index import Line, Span, Wanted, first_ms
from microfaas.log.reading import places
from microfaas.log.streams import StreamNames, nameless, names_path

# Of so many logs it is remembered what is where in them.
INDEXED_MAX = 16
_SUFFIX = ".log"


class _Log:
    """What is remembered of one."""

    def __init__(self, path: str) -> None:
        self.index = LogIndex(path)
        self.names = StreamNames(path)

    def streams(self) -> dict[str, tuple[str, Span]]:
        """The streams that have lines, and when those were written, by their processes."""
        names = self.names.refresh()
        return {
            process: (names.get(process) or nameless(process, span.first_ms), span)
            for process, span in self.index.spans().items()
        }


class FunctionLogs:
    """`group_of` says for the name of a function which group its log is of; several may share one.
    `is_there` says whether there is such a function still.

    What blocks may be called in any thread.
    """

    def __init__(
        self,
        data_dir: str,
        group_of: Callable[[str], str],
        is_there: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._data_dir = data_dir
        self._group_of = group_of
        self._is_there = is_there
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._lock = threading.Lock()

    def groups(self) -> dict[str, list[str]]:
        """Functions by the groups of their logs."""
        found: dict[str, list[str]] = {}
        directory = os.path.dirname(path_of(self._data_dir, ""))
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(directory)):
                if name.endswith(_SUFFIX):
                    function = name.removesuffix(_SUFFIX)
                    found.setdefault(self._group_of(function), []).append(function)
        return found

    def stored(self, functions: Iterable[str]) -> tuple[int, int]:
        """How many bytes their logs have, and since when, in milliseconds of the epoch."""
        files = self._files(functions)
        begun = [at_ms for path in files if (at_ms := _begun(path)) is not None]
        return sum(status.st_size for status in files.values()), min(begun, default=0)

    def streams(self, functions: Iterable[str]) -> dict[str, Span]:
        """When each stream was written. Blocking."""
        found: dict[str, Span] = {}
        for log in self._opened(functions):
            for stream, span in log.streams().values():
                known = found.get(stream)
                found[stream] = span if known is None else known.with_(span)
        return found

    def sources(
        self,
        functions: Iterable[str],
        within: Range,
        chosen: Callable[[str], bool] | None,
        accepts: Callable[[str], bool],
        *,
        backward: bool,
    ) -> list[Source]:
        """Their events, or those of chosen streams. Blocking, and more so when they are read."""
        found: list[Source] = []
        for log in self._opened(functions):
            streams = log.streams()
            wanted = Wanted(within.start_ms, within.end_ms, accepts=accepts)
            if chosen is not None:
                streams = {key: each for key, each in streams.items() if chosen(each[0])}
                if not streams:
                    continue
                spans = [span for _, span in streams.values()]
                wanted = Wanted(
                    max(within.start_ms, min(span.first_ms for span in spans)),
                    min(within.end_ms, max(span.last_ms for span in spans) + 1),
                    frozenset(streams),
                    accepts,
                )
            found.append(_events(log, wanted, streams, backward=backward))
        return found

    def tails(self) -> FunctionTails:
        """What they print from now on. Blocking."""
        printing = [function for each in self.groups().values() for function in each]
        return FunctionTails(self._data_dir, self.groups, printing)

    def empty(self, functions: Iterable[str]) -> None:
        """Remove what they have printed. For the thread that writes logs, as files turn over."""
        functions = list(functions)
        found = list(self._files(functions))
        # Those that are there may run, and have told their streams' names once.
        gone = [path_of(self._data_dir, each) for each in functions if not self._is_there(each)]
        found += [path for each in gone for _, path in places(names_path(each))]
        for path in found:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def prune(self, functions: Iterable[str], before_ms: int) -> None:
        """Remove files that are older as a whole. For the thread that writes logs, as well."""
        for path, status in self._files(functions).items():
            if not path.endswith(_SUFFIX) and status.st_mtime * 1000 < before_ms:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _files(self, functions: Iterable[str]) -> Mapping[str, os.stat_result]:
        found = {}
        for function in functions:
            for _, path in places(path_of(self._data_dir, function)):
                with contextlib.suppress(FileNotFoundError):
                    found[path] = os.stat(path)
        return found

    def _opened(self, functions: Iterable[str]) -> Iterator[_Log]:
        for function in functions:
            with self._lock:
                log = self._logs.pop(function, None) or _Log(path_of(self._data_dir, function))
                self._logs[function] = log
                while len(self._logs) > INDEXED_MAX:
                    self._logs.popitem(last=False)
            yield log


class FunctionTails:
    """What functions have printed since the last look, or since this was made. All is blocking.

    Of a log that comes later, all is new; of one that was there, whatever group it comes into, only
    what is appended.
    """

    def __init__(
        self, data_dir: str, groups: Callable[[], dict[str, list[str]]], known: Iterable[str]
    ) -> None:
        self._groups = groups
        self._data_dir = data_dir
        self._old = frozenset(known)
        # Who prints between now and the first look is not to be missed.
        self._tails = {function: self._tail(function) for function in self._old}

    def printing(self, wanted: Collection[str]) -> list[tuple[str, str]]:
        """Groups, of those that are wanted, and functions whose logs are of them by now."""
        groups = self._groups()
        # A log that is gone begins anew.
        self._old &= {function for each in groups.values() for function in each}
        found = [(group, each) for group in wanted for each in groups.get(group, ())]
        kept = {function for _, function in found}
        self._tails = {name: tail for name, tail in self._tails.items() if name in kept}
        return found

    def read(self, function: str, bytes_max: int) -> tuple[list[tuple[int, str, str]], bool]:
        """Times, streams and texts; and whether some were left out."""
        if function not in self._tails:
            self._tails[function] = self._tail(function)
        return self._tails[function].read(bytes_max)

    def _tail(self, function: str) -> LogTail:
        return LogTail(path_of(self._data_dir, function), whole=function not in self._old)


def _begun(path: str) -> int | None:
    try:
        return first_ms(path)
    except FileNotFoundError:
        return None


def _events(
    log: _Log, wanted: Wanted, streams: Mapping[str, tuple[str, Span]], *, backward: bool
) -> Source:
    with contextlib.closing(log.index.lines(wanted, backward=backward)) as found:
        for item in found:
            if not isinstance(item, Line):
                yield item
                continue
            known = streams.get(item.process)
            stream = known[0] if known else nameless(item.process, item.at_ms)
            yield Event(item.place, item.at_ms, stream, f"{item.text}\n", item.at_ms)
