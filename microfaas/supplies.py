"""What functions are given that the store keeps: their secrets, their access keys, their code."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping

from microfaas.model import Function, Version
from microfaas.pool.site import Closable
from microfaas.store.code import CodeStore
from microfaas.store.keys import function_credentials
from microfaas.store.machine_key import MachineKey
from microfaas.store.secrets import SecretStore, read_secrets

ServeEndpoint = Callable[[socket.socket], Awaitable[Closable]]


class Stores:
    """Fills `pool.site.Supplies` from the store."""

    def __init__(
        self,
        machine_key: MachineKey,
        secrets: SecretStore,
        code: CodeStore,
        serve_endpoint: ServeEndpoint,
    ) -> None:
        self._machine_key = machine_key
        self._secrets = secrets
        self._code = code
        self.serve_endpoint = serve_endpoint

    def secrets(self, function: Function) -> Mapping[str, bytes]:
        """Its secrets, by name. Raises MachineError."""
        return read_secrets(function.secrets, self._secrets, os.environ)

    def credentials(self, function: Function) -> Mapping[str, str]:
        """Its access key at the gateway, as the variables that AWS's clients read."""
        key_id, secret, token = function_credentials(self._machine_key, function.name)
        return {
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
        }

    def verify(self, version: Version) -> None:
        """Raises MachineError when the copy of its code is not what it was. Blocking."""
        self._code.verify(version.code_dir, version.code_sha256)
        if version.layers_dir:
            self._code.verify(version.layers_dir, version.layers_sha256)
