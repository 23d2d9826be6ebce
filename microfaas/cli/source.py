"""What PATH names: a project, or a template with parameters; for commands that serve or deploy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from microfaas import config, strict, templates
from microfaas.config import FILE_NAME, Config, ConfigTable
from microfaas.control import making
from microfaas.errors import ConfigError, Problem
from microfaas.model import Address
from microfaas.runtime import Runtimes
from microfaas.templates import Stack
from microfaas.triggers import table as kinds

# What a template says itself; the rest of a microfaas.toml beside it is the server's.
_TEMPLATES_OWN = ("functions", "queues", "topics", "streams")


class Source(NamedTuple):
    """A project: checked, as it was written, and the template that it came from if one was."""

    config: Config
    table: Mapping[str, Any]
    stack: Stack | None


def serving(path: str, given: Mapping[str, str], listen: str | None, data: str | None) -> Source:
    """What `run` serves. Raises ConfigError, RuntimeNotFound."""
    if not templates.is_template(path):
        _refuse_parameters(path, given)
        made = config.load(path, kinds.settings(), listen=listen, data=data)
        return Source(made, {}, None)
    loaded = _template(path, given, listen=listen, data=data)
    runtimes = Runtimes()
    # A template names the version that AWS has; whichever is here will do.
    functions = [
        msgspec.structs.replace(each, runtime=making.installed(runtimes, each.runtime))
        for each in loaded.config.functions
    ]
    checked = msgspec.structs.replace(loaded.config, functions=tuple(functions))
    return loaded._replace(config=checked)


def deploying(path: str, given: Mapping[str, str], gateway: str) -> Source:
    """What `deploy` takes to the gateway at a URL. Raises ConfigError."""
    if templates.is_template(path):
        return _template(path, given, gateway=gateway)
    _refuse_parameters(path, given)
    source = os.path.join(path, FILE_NAME) if os.path.isdir(path) else path
    table = config.read(source)
    return Source(config.parse(table, source, kinds.settings()), table, None)


def passed_over(source: Source) -> Iterator[str]:
    """What a template asks for and a served file cannot have; a deployment has it."""
    if source.stack is None:
        return
    told = [f"the alias {alias.name} of {alias.function}" for alias in source.stack.aliases]
    told += [f"what {each.function} reads elsewhere" for each in source.stack.mappings]
    told += [f"the URL of {url.function}" for url in source.stack.urls]
    for what in told:
        yield f"passed over: {what}; microfaas deploy makes it"


def _template(
    path: str,
    given: Mapping[str, str],
    *,
    gateway: str | None = None,
    listen: str | None = None,
    data: str | None = None,
) -> Source:
    """A template, to be served here or deployed to a gateway, where there will be aliases."""
    settings = _settings_beside(path)
    made = templates.load(
        path, given, _address(settings, gateway, listen), aliases=gateway is not None
    )
    made.write_code()
    if gateway is None:
        made.make_buckets()
    table = made.served(settings) if gateway is None else made.table(settings)
    checked = config.parse(table, path, kinds.settings(), listen=listen, data=data)
    return Source(checked, table, made)


def _settings_beside(path: str) -> dict[str, Any]:
    """What a microfaas.toml beside the template says of the server."""
    file = os.path.join(os.path.dirname(path), FILE_NAME)
    if not os.path.exists(file):
        return {}
    return {key: value for key, value in config.read(file).items() if key not in _TEMPLATES_OWN}


def _address(settings: Mapping[str, Any], gateway: str | None, listen: str | None) -> Address:
    """Where the template's resources will be; faults are told where the settings are checked."""
    ignored: list[Problem] = []
    table = strict.salvage(settings, ConfigTable, "", ignored) or ConfigTable()
    host, port = config.split_listen(listen or table.listen, ignored)
    secure = table.tls.certificate is not None
    return Address(
        region=table.region,
        account_id=table.account_id,
        endpoint_url=gateway or config.endpoint_url(host, port, secure=secure),
    )


def _refuse_parameters(path: str, given: Mapping[str, str]) -> None:
    if given:
        what = f"only templates have parameters, such as {next(iter(given))}"
        raise ConfigError(path, [Problem(os.path.basename(path) or path, what)])
