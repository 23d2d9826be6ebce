"""Functions that their own events come back to: stopped, whichever way they take, or let go on."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.project import Project, until
from tests.e2e.test_sdks import NODE, packages

PASSES_MAX = 16
PATIENCE_S = 90.0

HANDLER = """
import json, os
import boto3

NAME = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
URL = os.environ["AWS_ENDPOINT_URL_SQS"]
SQS, SNS, LAMBDA = (boto3.client(service) for service in ("sqs", "sns", "lambda"))


def told(event):
    \"\"\"What was first sent, whatever brought it here.\"\"\"
    while "chain" not in event:
        if "Records" in event:
            record = event["Records"][0]
            event = json.loads(record["body"] if "body" in record else record["Sns"]["Message"])
        elif "requestPayload" in event:
            event = event["requestPayload"]
        else:
            event = json.loads(event["Message"])
    return event


def send(event):
    text = json.dumps(event)
    for kind, name in event["to"].get(NAME, []):
        if kind == "queue":
            SQS.send_message(QueueUrl=f"{URL}/123456789012/{name}", MessageBody=text)
        elif kind == "batch":
            entries = [{"Id": "1", "MessageBody": text}]
            SQS.send_message_batch(QueueUrl=f"{URL}/123456789012/{name}", Entries=entries)
        elif kind == "fifo":
            SQS.send_message(
                QueueUrl=f"{URL}/123456789012/{name}", MessageBody=text, MessageGroupId="g",
                MessageDeduplicationId=str(event["n"]),
            )
        elif kind == "topic":
            SNS.publish(TopicArn=f"arn:aws:sns:us-east-1:123456789012:{name}", Message=text)
        else:
            LAMBDA.invoke(FunctionName=name, InvocationType=kind, Payload=text)


def handler(event, context):
    event = told(event)
    with open(os.path.join(os.environ["OUT"], event["chain"]), "a") as log:
        log.write(f"{NAME} {os.environ['_X_AMZN_TRACE_ID']}\\n")
    event["n"] += 1
    if event["n"] < event["end"]:
        send(event)
    if NAME == "fails":
        raise ValueError("as always")
    return {"n": event["n"]}
"""

NODE_HANDLER = """
const { SQSClient, SendMessageCommand } = require("@aws-sdk/client-sqs");
const fs = require("fs");

exports.handler = async ({ Records }) => {
  const sqs = new SQSClient();
  for (const { body } of Records) {
    const line = `noded ${process.env._X_AMZN_TRACE_ID}\\n`;
    fs.appendFileSync(`${process.env.OUT}/${JSON.parse(body).chain}`, line);
    const { QueueUrl } = JSON.parse(body);
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: body }));
  }
};
"""

CONFIG = """
[queues.loop]
dead_letter_queue = "looped"
receives_max = 1
visibility_timeout_s = 6

[queues.looped]

[queues."ordered.fifo"]
dead_letter_queue = "looped.fifo"
receives_max = 1
visibility_timeout_s = 6

[queues."looped.fifo"]

[queues.of-node]
dead_letter_queue = "looped"
receives_max = 1
visibility_timeout_s = 6

[topics.round]
[topics.raw]
[[topics.raw.subscriptions]]
queue = "loop"
raw = true

[functions.queued]
triggers = [{ type = "queue", queue = "loop" }, { type = "queue", queue = "ordered.fifo" }]

[functions.listening]
triggers = [{ type = "topic", topic = "round" }]

[functions.a]
[functions.b]
[functions.free]
recursive_loop = "allow"

[functions.succeeds]
on_success = "function:succeeds"

[functions.fails]
retries_max = 0
on_failure = "function:fails"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("loops"))
    out = project.root / "out"
    out.mkdir()
    out.chmod(0o777)
    project.write("app.py", HANDLER)
    project.write("node/index.js", NODE_HANDLER)
    layer = tmp_path_factory.mktemp("layer")
    for name in packages("@aws-sdk/client-sqs"):
        shutil.copytree(NODE / "node_modules" / name, layer / "nodejs" / "node_modules" / name)
    settings = (
        f"interpreter = {json.dumps(sys.executable)}\nmemory_mb = 256\nconcurrency_max = 20\n"
        'init_timeout_s = 60\nmounts.OUT = { path = "out", write = true }\n'
    )
    lines = []
    for line in CONFIG.splitlines():
        lines.append(line)
        if line.startswith("[functions."):
            # What calls itself waits for all that follow; what is queued is hidden for so long.
            timeout_s = 6 if line == "[functions.queued]" else 120
            lines.append(f"timeout_s = {timeout_s}\n{settings}")
    lines.append(
        f'[functions.noded]\nruntime = "nodejs"\ncode = "node"\nlayers = ["{layer}"]\n'
        "memory_mb = 512\ntimeout_s = 6\ninit_timeout_s = 60\n"
        'mounts.OUT = { path = "out", write = true }\n'
        'triggers = [{ type = "queue", queue = "of-node" }]\n'
    )
    project.write("microfaas.toml", "\n".join(lines))
    project.start("--adopt")
    yield project
    assert project.stop() == 0, project.output.read_text()
    assert "Traceback" not in project.output.read_text()


class Chain:
    """One event and what becomes of it."""

    def __init__(self, project: Project, to: dict[str, Any], end: int = 60) -> None:
        self.project = project
        self.id = str(uuid.uuid4())
        self.event = {"chain": self.id, "to": to, "n": 0, "end": end}

    def begin(self, name: str, kind: str = "Event") -> Any:
        client = self.project.lambda_client()
        return client.invoke(FunctionName=name, InvocationType=kind, Payload=json.dumps(self.event))

    def passes(self, name: str) -> int:
        """How often a function ran."""
        return [line.split()[0] for line in self.lines()].count(name)

    def lines(self) -> list[str]:
        path: Path = self.project.root / "out" / self.id
        return path.read_text().splitlines() if path.exists() else []

    def letter(self, function: str) -> dict[str, Any]:
        """The dead letter that it ends in."""
        return until(lambda: self._letter(function), "a dead letter", PATIENCE_S)

    def _letter(self, function: str) -> Any:
        shown = self.project.cli("dead", "list", "--function", function, "--json").stdout
        for row in json.loads(shown)["dead_letters"]:
            whole = self.project.cli("dead", "show", str(row["id"]), "--json").stdout
            if self.id in whole.decode():
                return row
        return None


def sqs(project: Project) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def buried(project: Project, queue: str, chain: str) -> bool:
    """Whether a chain has come to a queue, which is emptied."""
    url = f"{project.url}/123456789012/{queue}"
    told = sqs(project).receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
    return any(chain in message["Body"] for message in told.get("Messages", []))


@pytest.mark.parametrize(
    ("way", "name", "grave"),
    [
        ("queue", "loop", "looped"),
        ("batch", "loop", "looped"),
        ("topic", "raw", "looped"),
        ("fifo", "ordered.fifo", "looped.fifo"),
    ],
)
def test_a_queue_that_a_function_feeds_itself(
    served: Project, way: str, name: str, grave: str
) -> None:
    chain = Chain(served, {"queued": [[way, name]]})
    chain.begin("queued")
    until(lambda: buried(served, grave, chain.id), "a dead message", PATIENCE_S)
    assert chain.passes("queued") == PASSES_MAX
    assert "queued: recursive loop" in served.output.read_text()


def test_javascripts_sdk_sends_the_chain_on(served: Project) -> None:
    chain, url = str(uuid.uuid4()), f"{served.url}/123456789012/of-node"
    body = json.dumps({"chain": chain, "QueueUrl": url})
    sqs(served).send_message(QueueUrl=url, MessageBody=body)
    until(lambda: buried(served, "looped", chain), "a dead message", PATIENCE_S)
    assert len((served.root / "out" / chain).read_text().splitlines()) == PASSES_MAX


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("a", ["Event", "a"]),
        ("listening", ["topic", "round"]),
        # What they are sent is the record of how they ended.
        ("succeeds", ["queue", "nobodys"]),
        ("fails", ["queue", "nobodys"]),
    ],
)
def test_an_event_that_comes_back(served: Project, name: str, to: list[str]) -> None:
    chain = Chain(served, {name: [to]} if to[1] != "nobodys" else {})
    chain.begin(name)
    assert chain.letter(name)["error"] == "RecursiveInvocation"
    assert chain.passes(name) == PASSES_MAX
    assert f"{name}: recursive loop" in served.output.read_text()


def test_a_dead_letter_that_is_sent_again_begins_anew(served: Project) -> None:
    chain = Chain(served, {"a": [["Event", "a"]]})
    chain.begin("a")
    letter = chain.letter("a")
    served.cli("dead", "redrive", str(letter["id"]))
    chain.letter("a")
    assert chain.passes("a") == 2 * PASSES_MAX


def test_functions_that_call_each_other(served: Project) -> None:
    chain = Chain(
        served, {"a": [["Event", "b"]], "b": [["queue", "loop"]], "queued": [["Event", "a"]]}
    )
    chain.begin("a")
    assert chain.letter("a")["error"] == "RecursiveInvocation"
    assert [chain.passes(each) for each in ("a", "b", "queued")] == [PASSES_MAX] * 3
    roots = {line.split()[1].partition(";")[0] for line in chain.lines()}
    assert len(roots) == 1
    counts = [line.rpartition("Lineage=")[2].count("|") for line in chain.lines()]
    assert counts[:3] == [0, 1, 2]
    assert set(counts[3:]) == {2}


def test_a_caller_who_waits_is_told(served: Project) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:%s:%d"

    def call(count: int) -> Any:
        def add(params: dict[str, Any], **_: Any) -> None:
            params["headers"]["X-Amzn-Trace-Id"] = trace % (own, count)

        client = served.lambda_client()
        client.meta.events.register("before-call.lambda.Invoke", add)
        return client.invoke(FunctionName="b", Payload=json.dumps(chain.event))

    chain = Chain(served, {})
    chain.begin("b", "RequestResponse")
    own = chain.lines()[0].rpartition("Lineage=1:")[2].partition(":")[0]
    assert call(14)["StatusCode"] == 200
    with pytest.raises(ClientError, match="Recursive invocation detected") as refused:
        call(15)
    assert refused.value.response["Error"]["Code"] == "RecursiveInvocationException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert chain.passes("b") == 2


def test_a_function_that_calls_itself_and_waits(served: Project) -> None:
    chain = Chain(served, {"a": [["RequestResponse", "a"]]})
    chain.begin("a", "RequestResponse")
    assert chain.passes("a") == PASSES_MAX


def test_what_is_allowed_goes_on(served: Project) -> None:
    chain = Chain(served, {"free": [["Event", "free"]]}, end=PASSES_MAX + 4)
    chain.begin("free")
    until(lambda: chain.passes("free") == PASSES_MAX + 4, "all passes", PATIENCE_S)
    client = served.lambda_client()
    assert client.get_function_recursion_config(FunctionName="free")["RecursiveLoop"] == "Allow"
    client.put_function_recursion_config(FunctionName="free", RecursiveLoop="Terminate")
    stopped = Chain(served, {"free": [["Event", "free"]]})
    stopped.begin("free")
    assert stopped.letter("free")["error"] == "RecursiveInvocation"
    assert stopped.passes("free") == PASSES_MAX
