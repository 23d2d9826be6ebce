"""Logs: one rotated file per function with readers of several kinds, and microfaas's own."""

from __future__ import annotations

from microfaas.log.index import LogIndex
from microfaas.log.own import setup
from microfaas.log.reading import Entry, entries, follow, of_request, read, tail
from microfaas.log.streams import FunctionLog, stream_name
from microfaas.log.writing import BUFFER_BYTES_MAX, PLATFORM_ID, LogFile, path_of, stamp

__all__ = [
    "BUFFER_BYTES_MAX",
    "PLATFORM_ID",
    "Entry",
    "FunctionLog",
    "LogFile",
    "LogIndex",
    "entries",
    "follow",
    "of_request",
    "path_of",
    "read",
    "setup",
    "stamp",
    "stream_name",
    "tail",
]
