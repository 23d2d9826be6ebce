"""What a function sees of the machine: the roots that zygotes, instances and spares get. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from microfaas.linux.namespaces import Bind, File, Root
from microfaas.model import Version
from microfaas.pool import identity
from microfaas.pool.environment import LAYERS_ROOT, MOUNT_ROOT, SECRETS_ROOT, TASK_ROOT
from microfaas.pool.reach import Reach
from microfaas.runtime import Runtime


def of_function(
    version: Version,
    runtime: Runtime,
    *,
    staging: str,
    new_proc: bool,
    user: int | None,
    secrets: Mapping[str, bytes],
    network: Reach | None,
) -> Root:
    """The root of a zygote, or of an instance that is started in its place."""
    function = version.function
    mounts = [(f"{MOUNT_ROOT}/{mount.name}", mount) for mount in function.mounts]
    binds = [
        *_runtime(runtime),
        Bind(version.code_dir, TASK_ROOT),
        *([Bind(version.layers_dir, LAYERS_ROOT)] if version.layers_dir else []),
        *(Bind(mount.source, target, mount.write, user or 0) for target, mount in mounts),
    ]
    files = [
        File(f"{SECRETS_ROOT}/{secret.name}", secrets[secret.name], private=True)
        for secret in function.secrets
        if not secret.in_environment
    ]
    files += identity.files(user, network.hosts if network else None)
    return Root(
        staging=staging,
        binds=binds,
        tmp_mb=function.limits.tmp_mb,
        new_proc=new_proc,
        files=files,
        devices=list(function.devices),
    )


def of_spare(
    runtime: Runtime, *, staging: str, new_proc: bool, user: int | None, tmp_mb: int
) -> Root:
    """The root of a spare: where a function's code and layers will be there are slots."""
    return Root(
        staging=staging,
        binds=_runtime(runtime),
        tmp_mb=tmp_mb,
        slots=[TASK_ROOT, LAYERS_ROOT],
        new_proc=new_proc,
        files=identity.files(user, None),
    )


def _runtime(runtime: Runtime) -> list[Bind]:
    binds = [Bind(path, path) for path in runtime.directories if not path.startswith("/usr")]
    return binds + [Bind(source, target) for target, source in runtime.shown.items()]
