"""How the configuration says what Lambda's control API does."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ApiTable(msgspec.Struct, frozen=True, kw_only=True):
    """`[api]`: how closely Lambda's control API is followed."""

    strict: Annotated[
        bool,
        Meta(
            description="whether to refuse what AWS refuses though it would work here: deprecated "
            "runtimes, and runtimes that are not installed in just that version"
        ),
    ] = False
    update_s: Annotated[
        Annotated[float, Meta(ge=0, le=60)] | None,
        Meta(
            description="for how long a change is shown as in progress, seconds; default 0, and "
            "1 when `strict`"
        ),
    ] = None
    concurrency: Annotated[
        int,
        Meta(ge=1, le=100000, description="instances a function of the API may have at most"),
    ] = 1000
    code_mb_max: Annotated[
        int,
        Meta(
            ge=1,
            le=16777216,
            description="what packages of functions, versions and layers of the API may take "
            "together, MiB; each version counts. AWS's limit is 75 GB",
        ),
    ] = 4096
    adopt: Annotated[
        bool,
        Meta(
            description="whether the API may change functions that stand in this file; one that it "
            "has changed is the API's, and what the file says of it is passed over"
        ),
    ] = False

    @property
    def settle_ms(self) -> int:
        """For how long a change is shown as in progress."""
        update_s = self.update_s if self.update_s is not None else float(self.strict)
        return int(update_s * 1000)
