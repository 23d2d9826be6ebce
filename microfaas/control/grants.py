"""Whether AWS's other services may call a function for a topic, a rule, … of this machine."""

from __future__ import annotations

from microfaas.control.policies import allows
from microfaas.control.registry import Registry, key
from microfaas.model import LATEST


def permits(registry: Registry, service: str, source: str, name: str, qualifier: str) -> bool:
    """Whether a service (`sns.amazonaws.com`) may call a function, for what has that ARN.

    Whoever writes a file has said there what calls its functions: for them it needs no policy.
    """
    head = registry.functions.get(name)
    if registry.origin(name) == "file" or (head is not None and head.adopted):
        return True
    policy = registry.policies.get(key(name, "" if qualifier == LATEST else qualifier))
    known = {"aws:SourceArn": source, "aws:SourceAccount": registry.address.account_id}
    statements = () if policy is None else policy.statements
    return allows(statements, "lambda:InvokeFunction", service, known)
