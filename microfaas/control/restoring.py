"""What the API has made, served again after a start."""

from __future__ import annotations

import logging

from microfaas.control.editions import Editions
from microfaas.control.records import Edition
from microfaas.control.registry import Registry, key
from microfaas.deploy import Deployer
from microfaas.errors import MicrofaasError
from microfaas.model import LATEST

_log = logging.getLogger("microfaas.control")


async def restore(registry: Registry, editions: Editions, deployer: Deployer) -> None:
    """Serve what is on disk; the file's functions are served already."""
    for name, head in registry.functions.all():
        if head.latest is not None:
            await _serve(name, head.latest, LATEST, registry, editions, deployer)
    for qualified, edition in registry.versions.all():
        name, _, number = qualified.partition(":")
        if registry.knows(name):
            await _serve(name, edition, number, registry, editions, deployer)


async def _serve(
    name: str,
    edition: Edition,
    number: str,
    registry: Registry,
    editions: Editions,
    deployer: Deployer,
) -> None:
    """What cannot be served here any more is known as failed, until it is changed or can be."""
    try:
        version = await editions.build(name, edition, number, registry.head(name), known=True)
    except (MicrofaasError, OSError) as error:
        registry.served.fail(name, number, str(error))
        _log.error("%s cannot be served: %s", key(name, number), error)
    else:
        deployer.serve(version)
