"""Streams: what may stand in a `[streams.NAME]` table."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SourceTable(msgspec.Struct, frozen=True, kw_only=True):
    """`[streams.NAME.source]`: a log file whose lines become records, followed as by `tail -F`."""

    type: Annotated[Literal["tail"], Meta(description="a log file")]
    path: Annotated[
        str, Meta(min_length=1, description="the file, relative to this one; it may come later")
    ]
    start: Annotated[
        Literal["end", "beginning"],
        Meta(description="where to begin in a file that is there when it is first followed"),
    ] = "end"
    line_bytes_max: Annotated[
        int,
        Meta(ge=256, le=1000000, description="bytes of a line; a longer one is cut and marked"),
    ] = 65536
    spread: Annotated[
        bool,
        Meta(description="spread lines over all shards; without it all keep their order in one"),
    ] = False


class StreamTable(msgspec.Struct, frozen=True, kw_only=True):
    """`[streams.NAME]`: records in order, kept for a while and read by any number of triggers."""

    shards: Annotated[
        int,
        Meta(ge=1, le=64, description="parts, each of which keeps its order; cannot be changed"),
    ] = 1
    retention_s: Annotated[
        int, Meta(ge=3600, le=31536000, description="older records go, read or not, seconds")
    ] = 86400
    mb_max: Annotated[
        int,
        Meta(ge=1, le=1048576, description="what it may take of the disk, MiB; then it is full"),
    ] = 1024
    source: Annotated[SourceTable | None, Meta(description="a log file to follow")] = None
