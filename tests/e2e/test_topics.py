"""Topics and destinations, with a real server and the clients that people have."""

from __future__ import annotations

import base64
import contextlib
import email
import email.message
import email.policy
import json
import os
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import botocore.config
import pytest
from aiosmtpd.controller import Controller
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.e2e.project import BIN, Project, until

ARN = "arn:aws:sns:us-east-1:123456789012"
# Writes what it gets into a file of its own in the outbox, named by the request.
APP = """import json, os

def handler(event, context):
    path = f"{os.environ['OUTBOX']}/{context.function_name}-{context.aws_request_id}"
    with open(path + ".part", "w") as file:
        json.dump(event, file)
    os.rename(path + ".part", path)
    if isinstance(event, dict) and event.get("fail"):
        raise ValueError("no good")
    return {"done": True}
"""
NOTE = 'handler = "app.handler"\nmounts = { OUTBOX = { path = "seen", write = true } }\n'


def client(project: Project, service: str, key: tuple[str, str] | None = None) -> Any:
    key_id, secret = key or project.key
    return boto3.client(
        service,
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


def aws(project: Project, *arguments: str) -> Any:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": project.key[0],
        "AWS_SECRET_ACCESS_KEY": project.key[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": project.url,
    }
    done = subprocess.run([BIN / "aws", *arguments], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def seen(project: Project, name: str) -> list[Any]:
    """The events that a function got."""
    folder = project.root / "seen"
    files = sorted(folder.glob(f"{name}-*")) if folder.exists() else []
    return [json.loads(file.read_text()) for file in files if file.suffix != ".part"]


def texts(events: list[Any]) -> list[str]:
    return [event["Records"][0]["Sns"]["Message"] for event in events]


class Endpoint:
    """Somebody's HTTP endpoint on this machine; it can go away and come back."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def kinds(self) -> list[str]:
        return [headers.get("x-amz-sns-message-type", "") for headers, _ in self.got]

    def bodies(self, kind: str) -> list[Any]:
        return [json.loads(body) for headers, body in self.got if self._kind(headers) == kind]

    @staticmethod
    def _kind(headers: dict[str, str]) -> str:
        return headers.get("x-amz-sns-message-type", "")

    def open(self) -> None:
        there = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                there.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(there.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Hook)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    made.open()
    yield made
    made.close()


@pytest.fixture
def made(project: Project) -> Project:
    project.write("app.py", APP)
    (project.root / "seen").mkdir()
    (project.root / "seen").chmod(0o777)
    return project


def follow(link: str) -> tuple[int, bytes]:
    """As a person who clicks on it."""
    try:
        with urllib.request.urlopen(link) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def verify(told: dict[str, Any]) -> None:
    """As AWS tells receivers to."""
    with urllib.request.urlopen(told.get("SigningCertURL") or told["SigningCertUrl"]) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    text = "".join(f"{n}\n{told[n]}\n" for n in [*names, "Type"] if told.get(n) is not None)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[told["SignatureVersion"]]
    signature = base64.b64decode(told["Signature"])
    key.verify(signature, text.encode(), padding.PKCS1v15(), algorithm)


def subscribed(project: Project, endpoint: Endpoint, topic: str, **attributes: str) -> str:
    """Subscribe it and have it confirm; its subscription's ARN."""
    sns = client(project, "sns")
    reply = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=endpoint.url, Attributes=attributes
    )
    assert reply["SubscriptionArn"] == "pending confirmation"
    [asked] = until(lambda: endpoint.bodies("SubscriptionConfirmation"), "the question")
    verify(asked)
    assert follow(asked["SubscribeURL"])[0] == 200
    [row] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert row["SubscriptionArn"].startswith(f"{topic}:")
    return str(row["SubscriptionArn"])


def test_a_function_gets_what_is_published(made: Project) -> None:
    trigger = '[[functions.note.triggers]]\ntype = "topic"\ntopic = "orders"\n'
    narrow = NOTE + '[[functions.narrow.triggers]]\ntype = "topic"\ntopic = "orders"\n'
    made.write(
        "microfaas.toml",
        f"[topics.orders]\nsignature_version = '2'\n[functions.note]\n{NOTE}{trigger}"
        f"[functions.narrow]\n{narrow}filter = {{ kind = ['new'] }}\n",
    )
    made.start()
    sns = client(made, "sns")
    kind = {"kind": {"DataType": "String", "StringValue": "new"}}
    sent = sns.publish(
        TopicArn=f"{ARN}:orders", Message="first", Subject="s", MessageAttributes=kind
    )
    aws(made, "sns", "publish", "--topic-arn", f"{ARN}:orders", "--message", "second")
    until(lambda: len(seen(made, "note")) == 2, "both messages")
    assert sorted(texts(seen(made, "note"))) == ["first", "second"]
    assert texts(seen(made, "narrow")) == ["first"]
    [record] = seen(made, "narrow")[0]["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"]["MessageId"] == sent["MessageId"]
    assert record["Sns"]["MessageAttributes"] == {"kind": {"Type": "String", "Value": "new"}}
    assert record["Sns"]["Subject"] == "s"
    verify(record["Sns"])
    # It is of the file: neither a link nor an API call ends it.
    assert follow(record["Sns"]["UnsubscribeUrl"])[0] == 400
    with pytest.raises(ClientError, match=r"microfaas\.toml"):
        sns.unsubscribe(SubscriptionArn=record["EventSubscriptionArn"])


def test_an_endpoint_confirms_gets_and_leaves(made: Project, endpoint: Endpoint) -> None:
    made.write("microfaas.toml", "[functions.note]\n" + NOTE)
    made.start()
    sns = client(made, "sns")
    topic = aws(made, "sns", "create-topic", "--name", "news")["TopicArn"]
    assert topic == f"{ARN}:news"
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    [asked] = until(lambda: endpoint.bodies("SubscriptionConfirmation"), "the question")
    with pytest.raises(ClientError) as caught:
        sns.confirm_subscription(TopicArn=topic, Token="0" * 128)
    assert caught.value.response["Error"]["Code"] == "InvalidParameter"
    confirmed = sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
    arn = confirmed["SubscriptionArn"]
    sent = sns.publish(TopicArn=topic, Message="hello")["MessageId"]
    [told] = until(lambda: endpoint.bodies("Notification"), "the message")
    assert (told["MessageId"], told["Message"]) == (sent, "hello")
    verify(told)
    sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    sns.publish(TopicArn=topic, Message="bare")
    until(lambda: len(endpoint.got) == 3, "the bare message")
    headers, body = endpoint.got[2]
    assert (headers["x-amz-sns-rawdelivery"], body) == ("true", b"bare")
    status, page = follow(told["UnsubscribeURL"])
    assert (status, b"UnsubscribeResponse" in page) == (200, True)
    assert aws(made, "sns", "list-subscriptions")["Subscriptions"] == []


def test_a_queue_gets_it_wrapped_or_bare(made: Project) -> None:
    made.write(
        "microfaas.toml",
        "[queues.wrapped]\n[topics.t]\n[[topics.t.subscriptions]]\nqueue = 'wrapped'\n",
    )
    made.start()
    sns, sqs = client(made, "sns"), client(made, "sqs")
    bare = sqs.create_queue(QueueName="bare")["QueueUrl"]
    sns.subscribe(
        TopicArn=f"{ARN}:t",
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:bare",
        Attributes={"RawMessageDelivery": "true"},
    )
    sns.publish(
        TopicArn=f"{ARN}:t",
        Message="hello",
        MessageAttributes={
            "n": {"DataType": "Number", "StringValue": "1"},
            "b": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
        },
    )
    [got] = sqs.receive_message(QueueUrl=bare, WaitTimeSeconds=20, MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert got["Body"] == "hello"
    assert got["MessageAttributes"] == {
        "n": {"DataType": "Number", "StringValue": "1"},
        "b": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }
    url = sqs.get_queue_url(QueueName="wrapped")["QueueUrl"]
    [got] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    told = json.loads(got["Body"])
    assert (told["Type"], told["Message"]) == ("Notification", "hello")
    assert told["MessageAttributes"]["b"] == {"Type": "Binary", "Value": "AP8="}
    verify(told)


class Mails:
    """Takes mails."""

    def __init__(self) -> None:
        self.got: list[email.message.EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"

    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.got]


@contextlib.contextmanager
def mail_server() -> Iterator[tuple[int, Mails]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    mails = Mails()
    server = Controller(mails, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield port, mails
    finally:
        server.stop()


def test_a_person_is_asked_and_told_by_mail(made: Project) -> None:
    with mail_server() as (port, mails):
        made.write(
            "microfaas.toml",
            f"[smtp]\nhost = '127.0.0.1'\nport = {port}\n[topics.t]\ndisplay_name = 'Shop'\n"
            "[[topics.t.subscriptions]]\nemail = 'boss@example.org'\n",
        )
        made.start()
        sns = client(made, "sns")
        sns.subscribe(TopicArn=f"{ARN}:t", Protocol="email", Endpoint="ada@example.org")
        until(lambda: mails.got, "the question")
        link = re.search(r"http://\S+", mails.texts()[0])
        assert link is not None
        assert follow(link[0])[0] == 200
        sns.publish(TopicArn=f"{ARN}:t", Message="hällo", Subject="News")
        sns.publish(TopicArn=f"{ARN}:t", Message="more")
        until(lambda: len(mails.got) == 5, "both mails to both")
    told = sorted((mail["To"], mail["Subject"]) for mail in mails.got[1:])
    assert told == [
        *(("ada@example.org", "News"), ("ada@example.org", "Shop: notification")),
        *(("boss@example.org", "News"), ("boss@example.org", "Shop: notification")),
    ]
    assert any(text.startswith("hällo") for text in mails.texts())
    with pytest.raises(ClientError, match="Endpoint must match"):
        sns.subscribe(TopicArn=f"{ARN}:t", Protocol="email", Endpoint="a@b\r\nBcc: c@d")


def test_nothing_published_is_lost_when_the_power_goes(made: Project, endpoint: Endpoint) -> None:
    made.write(
        "microfaas.toml",
        f"[topics.t]\n[[topics.t.subscriptions]]\nurl = '{endpoint.url}'\n"
        f"[functions.note]\n{NOTE}[[functions.note.triggers]]\ntype = 'topic'\ntopic = 't'\n",
    )
    endpoint.close()
    made.start()
    sns = client(made, "sns")
    for number in range(20):
        sns.publish(TopicArn=f"{ARN}:t", Message=str(number))
    made.kill()
    endpoint.open()
    made.start()
    wanted = {str(number) for number in range(20)}
    until(lambda: set(texts(seen(made, "note"))) == wanted, "all events")
    until(
        lambda: {told["Message"] for told in endpoint.bodies("Notification")} == wanted,
        "all notifications",
    )


def test_what_an_endpoint_refuses_goes_to_its_queue(made: Project, endpoint: Endpoint) -> None:
    made.write("microfaas.toml", "[queues.graves]\n[functions.note]\n" + NOTE)
    made.start()
    sns, sqs = client(made, "sns"), client(made, "sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:graves"}
    arn = subscribed(made, endpoint, topic, RedrivePolicy=json.dumps(policy))
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert json.loads(attributes["RedrivePolicy"]) == policy
    endpoint.status = 410
    sns.publish(TopicArn=topic, Message="unwanted")
    url = sqs.get_queue_url(QueueName="graves")["QueueUrl"]
    [got] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert json.loads(got["Body"])["Message"] == "unwanted"


def test_outcomes_go_where_they_are_wanted(made: Project, endpoint: Endpoint) -> None:
    tries = "retries_max = 0\n"
    made.write(
        "microfaas.toml",
        f"""
[queues.graves]
[topics.done]
[functions.to_function]
on_success = "function:note"
on_failure = "queue:graves"
{tries}{NOTE}
[functions.to_topic]
on_success = "topic:done"
on_failure = "url-goes-here"
dead_letter = "queue:graves"
{tries}{NOTE}
[functions.to_directory]
on_success = "directory:out"
{tries}{NOTE}
[functions.note]
{NOTE}
[functions.heard]
{NOTE}
[[functions.heard.triggers]]
type = "topic"
topic = "done"
[functions.filed]
{NOTE}
[[functions.filed.triggers]]
type = "bucket"
path = "out"
""".replace("url-goes-here", endpoint.url),
    )
    (made.root / "out").mkdir()
    made.start()
    functions, sqs = client(made, "lambda"), client(made, "sqs")

    def submit(name: str, event: object) -> str:
        reply = functions.invoke(
            FunctionName=name, InvocationType="Event", Payload=json.dumps(event)
        )
        return str(reply["ResponseMetadata"]["RequestId"])

    request_id = submit("to_function", {"a": 1})
    [record] = until(lambda: seen(made, "note"), "the record as an event")
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:to_function:$LATEST",
        "condition": "Success",
        "approximateInvokeCount": 1,
    }
    assert (record["requestPayload"], record["responsePayload"]) == ({"a": 1}, {"done": True})
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}

    submit("to_topic", {"b": 2})
    [event] = until(lambda: seen(made, "heard"), "the record as a message")
    assert json.loads(event["Records"][0]["Sns"]["Message"])["requestPayload"] == {"b": 2}

    url = sqs.get_queue_url(QueueName="graves")["QueueUrl"]
    request_id = submit("to_topic", {"fail": True})
    until(lambda: endpoint.got, "the record at the URL")
    posted = json.loads(endpoint.got[0][1])
    assert posted["requestContext"]["condition"] == "RetriesExhausted"
    assert posted["responseContext"]["functionError"] == "Unhandled"
    assert posted["responsePayload"]["errorType"] == "ValueError"
    [letter] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"])[
        "Messages"
    ]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
    assert json.loads(letter["Body"]) == {"fail": True}
    assert letter["MessageAttributes"] == {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "no good"},
    }
    submit("to_function", {"fail": True})
    [told] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert json.loads(told["Body"])["requestContext"]["condition"] == "RetriesExhausted"

    submit("to_directory", {"c": 3})
    [event] = until(lambda: seen(made, "filed"), "the record's file")
    key = event["Records"][0]["s3"]["object"]["key"]
    assert re.fullmatch(
        r"aws/lambda/async/to_directory/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}",
        key,
    )
    assert json.loads((made.root / "out" / key).read_text())["requestPayload"] == {"c": 3}


def test_a_batch_is_refused_by_entry(made: Project) -> None:
    made.write(
        "microfaas.toml",
        f"[topics.t]\n[functions.note]\n{NOTE}[[functions.note.triggers]]\n"
        "type = 'topic'\ntopic = 't'\n",
    )
    made.start()
    sns = client(made, "sns")
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "no\nline"}]
    reply = sns.publish_batch(TopicArn=f"{ARN}:t", PublishBatchRequestEntries=entries)
    assert [row["Id"] for row in reply["Successful"]] == ["a"]
    assert [(row["Id"], row["Code"]) for row in reply["Failed"]] == [("b", "InvalidParameter")]
    until(lambda: seen(made, "note"), "the message")
    for count, size, code in (
        (11, 1, "TooManyEntriesInBatchRequest"),
        (2, 140_000, "BatchRequestTooLong"),
    ):
        many = [{"Id": str(n), "Message": "m" * size} for n in range(count)]
        with pytest.raises(ClientError) as caught:
            sns.publish_batch(TopicArn=f"{ARN}:t", PublishBatchRequestEntries=many)
        assert caught.value.response["Error"]["Code"] == code
    assert texts(seen(made, "note")) == ["1"]
