"""Requests to AWS's services: whatever is sent, it is understood or refused by name.

The bytes are a request: its first line is method and target, each line after it a header, then the
body.
"""

from __future__ import annotations

from urllib.parse import urlencode

from microfaas.errors import ServiceError
from microfaas.gateway.aws import model, query_form, replies, requests, validation
from microfaas.gateway.aws.model import Model, Protocol
from microfaas.gateway.aws.requests import Request

NAMES = ("sqs", "sns", "kinesis", "events", "scheduler")


def target(data: bytes) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, place = first.partition(" ")
    path, _, query = place.partition("?")
    pairs = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    _take(Request(method, path, query, headers, body))


def _take(request: Request) -> None:
    models = [model.load(name) for name in NAMES]
    spoken: tuple[Model, Protocol] = models[0], "json"
    try:
        form = requests.is_form(request)
        pairs = query_form.fields(request.query) | query_form.fields(request.body) if form else {}
        meant = requests.of_head(models, request)
        if meant is None and form:
            meant = requests.of_form(models, pairs, request.path)
        if meant is None:
            return
        spoken = meant.model, meant.protocol
        params = requests.read(meant, request, pairs)
        shape = meant.model.operations[meant.operation].input
        validation.validate(meant.model, meant.protocol, shape, params)
        needed = meant.model.shape(shape).required
        assert all(name in params for name in needed)
    except ServiceError as error:
        reply = replies.error(*spoken, error, "id")
        assert 400 <= reply.status < 500
        assert reply.body


def seeds() -> dict[str, bytes]:
    form = {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": "arn",
        "Message": "m",
        "MessageAttributes.entry.1.Name": "a",
        "MessageAttributes.entry.1.Value.DataType": "Binary",
        "MessageAttributes.entry.1.Value.BinaryValue": "dg==",
    }
    batch = "Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a&"
    batch += "SendMessageBatchRequestEntry.1.MessageBody=b"
    return {
        "json": b'POST /\r\nx-amz-target: AmazonSQS.SendMessage\r\n\r\n{"QueueUrl":"q",'
        b'"MessageBody":"b","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"dg=="}}}',
        "query": b"POST /\r\n\r\n" + urlencode(form).encode(),
        "queue": b"POST /123456789012/q\r\n\r\n" + batch.encode(),
        "kinesis": b"POST /\r\nx-amz-target: Kinesis_20131202.GetShardIterator\r\n\r\n"
        b'{"StreamName":"s","ShardId":"x","ShardIteratorType":"LATEST","Timestamp":1.5}',
        "rest": b"POST /schedules/a%20b\r\n\r\n"
        b'{"StartDate":1,"FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"a"}}',
        "list": b"GET /schedules?MaxResults=5&NamePrefix=a\r\n\r\n",
    }
