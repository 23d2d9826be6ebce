"""The page of AWS's operations: what of each service is understood, and which scope it needs."""

from __future__ import annotations

import textwrap

from microfaas.gateway.aws import model, permissions

SERVICES = ("lambda", "sqs", "sns", "kinesis", "events", "scheduler", "logs", "iam", "sts")
# Lambda's operations that have ways of their own through the gateway.
INVOKING = ("Invoke", "InvokeAsync", "InvokeWithResponseStream")
INTRODUCTION = """\
<!-- Made by docs/generate.py from microfaas/gateway/aws. -->

# AWS's APIs

boto3, the `aws` command and AWS's other SDKs call microfaas when their endpoint URL is the
gateway's: `endpoint_url=`, `--endpoint-url`, or the variable `AWS_ENDPOINT_URL` (which version 1's
`aws sqs` passes over, and calls AWS). A function has `AWS_ENDPOINT_URL_LAMBDA`, `_SQS`, `_SNS`,
`_KINESIS`, `_EVENTBRIDGE`, `_SCHEDULER`, `_CLOUDWATCH_LOGS`, `_STS` and `_IAM` set; its calls to
any other service go to AWS.

Requests are checked by AWS's own models before anything is done, and errors have AWS's codes. An
operation that is not in these tables is refused by name (`InvalidAction`,
`UnknownOperationException`). Clients that send CBOR, as Java's does to Kinesis, must be told to
send JSON: `CBOR_ENABLED=false` or `-Daws.cborEnabled=false`.

The scope is what a [key](access.md) needs; of several, any suffices.
"""
ABSENT = """
Who asks for what microfaas has none of is told so, as AWS tells of what does not exist:
"""


def page() -> str:
    return INTRODUCTION + "".join(f"\n{_service(name)}" for name in SERVICES)


def _service(name: str) -> str:
    known = model.load(name)
    lines = [f"## {known.title}", "", "| operation | scope |", "| --- | --- |"]
    scopes = {operation: _scopes(name, operation) for operation in known.operations}
    if name == "lambda":
        scopes |= dict.fromkeys(INVOKING, "`invoke`")
    lines += [f"| `{operation}` | {scopes[operation]} |" for operation in sorted(scopes)]
    text = "\n".join(lines) + "\n"
    return text + _none_of(known)


def _scopes(service: str, operation: str) -> str:
    permission = permissions.of(service, operation)
    if permission == permissions.ANYBODY:
        return "any"
    scopes = [f"`{action}`" for action in permission.actions]
    if permission.open:
        scopes.append("none for a link in a message")
    return ", ".join(scopes)


def _none_of(known: model.Model) -> str:
    """What is said of operations that are answered though they are not served."""
    things: dict[str, list[str]] = {}
    for name, unserved in known.unserved.items():
        if unserved.none_of:
            things.setdefault(unserved.none_of, []).append(f"`{name}`")
    empty = [f"`{name}`" for name, unserved in known.unserved.items() if unserved.empty]
    if not things and not empty:
        return ""
    lines = [f"- {what}: {', '.join(names)}" for what, names in things.items()]
    lines.append(f"- lists that are empty: {', '.join(empty)}")
    wrapped = [textwrap.fill(line, 100, subsequent_indent="  ") for line in lines]
    return ABSENT + "\n" + "\n".join(wrapped) + "\n"
