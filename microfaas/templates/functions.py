"""Functions, layers, aliases, URLs and permissions of a template."""

from __future__ import annotations

from typing import Any

from microfaas.templates import sam
from microfaas.templates.mapping import Resource, Scene, last_name, number, without_none
from microfaas.templates.references import function_of
from microfaas.templates.stack import INLINE_DIR, Alias, FunctionUrl, Inline, Permission

# Which languages may stand in a template, and the file that Lambda makes of their text.
_INLINE_FILES = {"python": "index.py", "nodejs": "index.js"}
# What the API keeps and tells, and no table has.
_TOLD = ("Architectures", "Role", "TracingConfig", "SnapStart")
_NOT_TAKEN = ("FileSystemConfigs", "ImageConfig", "CapacityProviderConfig", "DurableConfig")


def function(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::Function."""
    given = resource.properties
    scene.refuse(resource, _NOT_TAKEN, "cannot be had here")
    code = _code(scene, resource)
    if code is None:
        return
    variables = (given.get("Environment") or {}).get("Variables") or {}
    letters = (given.get("DeadLetterConfig") or {}).get("TargetArn")
    logs = given.get("LoggingConfig") or {}
    table = {
        "code": code,
        "runtime": given.get("Runtime"),
        "handler": given.get("Handler"),
        "description": given.get("Description"),
        "memory_mb": number(given.get("MemorySize")),
        "timeout_s": number(given.get("Timeout")),
        "tmp_mb": number((given.get("EphemeralStorage") or {}).get("Size")),
        "concurrency_max": number(given.get("ReservedConcurrentExecutions")),
        "environment": {key: _text(value) for key, value in variables.items()} or None,
        "layers": _layers(scene, resource) or None,
        "log_group": logs.get("LogGroup"),
        "log_format": logs.get("LogFormat"),
        "log_level": logs.get("ApplicationLogLevel"),
        "system_log_level": logs.get("SystemLogLevel"),
        "recursive_loop": str(given["RecursiveLoop"]).lower() if "RecursiveLoop" in given else None,
        "dead_letter": scene.destination(resource, letters) if letters else None,
    }
    scene.stack.functions[resource.name] = without_none(table)
    told = {name: given[name] for name in _TOLD if name in given}
    scene.stack.settings[resource.name] = told


def layer(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::LayerVersion."""
    content = resource.properties.get("Content")
    path = content if isinstance(content, str) else sam.local_path(content or {})
    if path is None:
        scene.fault(resource, "its content is in S3; name a folder or .zip beside the template")
        return
    scene.stack.layers[resource.name] = path


def alias(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::Alias."""
    if scene.function(resource, "FunctionName") is not None:
        name, _ = function_of(str(resource.properties["FunctionName"]))
        scene.stack.aliases.append(Alias(name, resource.name))


def url(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::Url."""
    if scene.function(resource, "TargetFunctionArn") is None:
        return
    given = resource.properties
    name, behind = function_of(str(given["TargetFunctionArn"]))
    kept = {key: given[key] for key in ("AuthType", "Cors", "InvokeMode") if key in given}
    qualifier = str(given.get("Qualifier") or behind)
    scene.stack.urls.append(FunctionUrl(function=name, qualifier=qualifier, settings=kept))


def permission(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::Permission, as far as it is about a URL: what else fires functions asks none."""
    given = dict(resource.properties)
    if not (given.get("FunctionUrlAuthType") or given.get("InvokedViaFunctionUrl")):
        return
    name, qualifier = function_of(str(given.pop("FunctionName", "")))
    settings = {"StatementId": resource.id, **given}
    made = Permission(function=name, qualifier=qualifier, settings=settings)
    scene.stack.permissions.append(made)


def event_settings(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::EventInvokeConfig."""
    table = scene.function(resource, "FunctionName")
    if table is None:
        return
    given = resource.properties
    made = {
        "retries_max": number(given.get("MaximumRetryAttempts")),
        "event_age_s_max": number(given.get("MaximumEventAgeInSeconds")),
    }
    for key, name in (("on_success", "OnSuccess"), ("on_failure", "OnFailure")):
        to = ((given.get("DestinationConfig") or {}).get(name) or {}).get("Destination")
        made[key] = scene.destination(resource, to) if to else None
    table |= without_none(made)


def _code(scene: Scene, resource: Resource) -> str | None:
    """Where a function's code is, relative to the template; None, and told, for what is not."""
    code: Any = resource.properties.get("Code") or {}
    if isinstance(code, str):
        return code
    if resource.properties.get("PackageType") == "Image" or "ImageUri" in code:
        scene.fault(resource, "is a container image; microfaas runs code: use PackageType Zip")
        return None
    if "ZipFile" in code:
        return _inline(scene, resource, str(code["ZipFile"]))
    path = sam.local_path(code)
    if path is None:
        scene.fault(resource, "its code is in S3; name a folder or .zip beside the template")
    return path


def _inline(scene: Scene, resource: Resource, text: str) -> str | None:
    runtime = str(resource.properties.get("Runtime", ""))
    files = [file for language, file in _INLINE_FILES.items() if runtime.startswith(language)]
    if not files:
        scene.fault(resource, f"only Python and Node.js may stand in a template, not {runtime}")
        return None
    folder = f"{INLINE_DIR}/{resource.name}"
    scene.stack.inline.append(Inline(f"{folder}/{files[0]}", text))
    return folder


def _layers(scene: Scene, resource: Resource) -> list[str]:
    """The folders of a function's layers."""
    folders = []
    for arn in map(str, resource.properties.get("Layers") or []):
        name = last_name(arn.rpartition(":")[0])
        if name in scene.stack.layers:
            folders.append(scene.stack.layers[name])
        else:
            what = f"the layer {arn} is not of this template; unpack it into a folder, and make a "
            scene.fault(resource, f"{what}layer of that")
    return folders


def _text(value: Any) -> Any:
    """A variable's value as Lambda has it, a text; what is none stays, for others to refuse."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value
