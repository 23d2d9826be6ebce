"""The page of AWS's operations: what of each service is understood, and which scope it needs."""

from __future__ import annotations

from microfaas.gateway.aws import model, permissions

SERVICES = ("sqs", "sns", "kinesis", "events", "scheduler")
INTRODUCTION = """\
<!-- Made by docs/generate.py from microfaas/gateway/aws. -->

# AWS's APIs

boto3, the `aws` command and AWS's other SDKs call microfaas when their endpoint URL is the
gateway's: `endpoint_url=`, `--endpoint-url`, or a variable such as `AWS_ENDPOINT_URL_SQS`. A
function has `AWS_ENDPOINT_URL_LAMBDA`, `_SQS`, `_SNS`, `_KINESIS`, `_EVENTBRIDGE` and `_SCHEDULER`
set; its calls to any other service go to AWS.

Requests are checked by AWS's own models before anything is done, and errors have AWS's codes. An
operation that is not in these tables is refused by name (`InvalidAction`,
`UnknownOperationException`). Clients that send CBOR, as Java's does to Kinesis, must be told to
send JSON: `CBOR_ENABLED=false` or `-Daws.cborEnabled=false`.

The scope is what a [key](access.md) needs; of several, any suffices.
"""


def page() -> str:
    return INTRODUCTION + "".join(f"\n{_service(name)}" for name in SERVICES)


def _service(name: str) -> str:
    known = model.load(name)
    lines = [f"## {known.title}", "", "| operation | scope |", "| --- | --- |"]
    for operation in sorted(known.operations):
        permission = permissions.of(name, operation)
        scopes = [f"`{action}`" for action in permission.actions]
        if permission.open:
            scopes.append("none for a link in a message")
        lines.append(f"| `{operation}` | {', '.join(scopes)} |")
    return "\n".join(lines) + "\n"
