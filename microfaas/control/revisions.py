"""Revisions: by them a caller tells that he has seen a function, version or alias as it is.

What is run, and what an alias means, has a revision of its own. What else is changed of it, a
policy or tags, touches it: that gives another one, until the next change of the first kind.
"""

from __future__ import annotations

import time
import uuid

from microfaas.control.records import Edition, Touched
from microfaas.control.registry import Registry, key
from microfaas.control.table import Edit
from microfaas.errors import ServiceError


def own(edition: Edition) -> str:
    """The one that an edition goes by now."""
    settled = edition.settles_ms <= time.time() * 1000
    return edition.settled_revision if settled else edition.revision


def of(registry: Registry, name: str, qualifier: str = "") -> str:
    """The one to go by now. Raises ServiceError when there is nothing of that name."""
    revision = _untouched(registry, name, qualifier)
    touched = registry.touched.get(key(name, qualifier))
    return touched.revision if touched is not None and touched.over == revision else revision


def touch(registry: Registry, name: str, qualifier: str = "") -> Edit:
    """It goes by another one from now on. Raises ServiceError as `of` does."""
    over = _untouched(registry, name, qualifier)
    return registry.touched.put(key(name, qualifier), Touched(over, str(uuid.uuid4())))


def _untouched(registry: Registry, name: str, qualifier: str) -> str:
    """The one that is its own. Raises ServiceError when there is nothing of that name."""
    alias = registry.alias(name, qualifier)
    return alias.revision if alias else own(registry.edition(name, qualifier)[0])


def check(current: str, given: str, call: str = "GetFunction/GetAlias") -> None:
    """Raises ServiceError when somebody has changed it since the caller looked, by that call."""
    if given and given != current:
        raise ServiceError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            f"{call} API to retrieve the latest Revision Id",
        )
