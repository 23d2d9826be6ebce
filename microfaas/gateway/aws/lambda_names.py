"""Functions and layers as Lambda's operations name them: bare, with a qualifier, or as ARNs."""

from __future__ import annotations

import re

from microfaas.control.registry import Registry
from microfaas.errors import ServiceError
from microfaas.gateway import names
from microfaas.gateway.aws.service import Params
from microfaas.model import Address

# Of a function; what the model allows has room for its ARN.
NEW_CHARS_MAX = 64
_ALIAS = re.compile(r"(?!\d+$)[\w-]+", re.ASCII)


def which(params: Params, address: Address) -> tuple[str, str]:
    """(name, qualifier) of FunctionName and Qualifier. Raises InvalidRequest in AWS's words."""
    return names.parse(params["FunctionName"], params.get("Qualifier", ""), address)


def whole(params: Params, address: Address) -> str:
    """The name of a function where no version or alias may be meant. Raises ServiceError."""
    name, qualifier = which(params, address)
    if qualifier:
        raise ServiceError(
            "InvalidParameterValueException",
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN.",
        )
    return name


def new(params: Params, address: Address) -> str:
    """The name of a function that is to be made. Raises ServiceError."""
    name = whole(params, address)
    if len(name) > NEW_CHARS_MAX:
        raise ServiceError(
            "InvalidParameterValueException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {NEW_CHARS_MAX}",
        )
    return name


def layer(text: str, address: Address) -> str:
    """The name of a layer, given as such or by its ARN. Raises ServiceError for another's."""
    own = f"arn:aws:lambda:{address.region}:{address.account_id}:layer:"
    if text.startswith("arn:") and not text.startswith(own):
        message = "The resource you requested does not exist."
        raise ServiceError("ResourceNotFoundException", message)
    return text.removeprefix(own)


def check_qualifier(registry: Registry, name: str, qualifier: str) -> None:
    """Raises ServiceError for a version or alias that a function has not, each in AWS's words."""
    if registry.exists(name, qualifier):
        return
    if _ALIAS.fullmatch(qualifier):
        text = f"Cannot find alias arn: {registry.arn(name, qualifier)}"
        raise ServiceError("ResourceNotFoundException", text)
    registry.not_found(name, qualifier)
