"""Requests to AWS's services: whatever is sent, it is understood or refused by name.

The bytes are a request: its first line is method and target, each line after it a header, then the
body.
"""

from __future__ import annotations

from urllib.parse import urlencode

from microfaas.errors import ServiceError
from microfaas.gateway.aws import model, query_form, requests, validation
from microfaas.gateway.aws.replies import Form
from microfaas.gateway.aws.requests import Operations, Request

NAMES = ("sqs", "sns", "kinesis", "events", "scheduler", "lambda", "logs", "iam", "sts")
KNOWN = Operations([model.load(name) for name in NAMES])


def target(data: bytes) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, place = first.partition(" ")
    path, _, query = place.partition("?")
    pairs = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    _take(Request(method, path, query, headers, body))


def _take(request: Request) -> None:
    form = Form(model.load("sqs"), "json", "id")
    try:
        is_form = requests.is_form(request)
        pairs = {}
        if is_form:
            pairs = query_form.fields(request.query) | query_form.fields(request.body)
        meant = KNOWN.of_head(request)
        if meant is None and is_form:
            meant = KNOWN.of_form(pairs, request.path)
        if meant is None:
            return
        form = Form(meant.model, meant.protocol, "id", meant.operation)
        if meant.operation not in meant.model.operations:
            assert form.result(requests.instead(meant)).status == 200
            return
        params = requests.read(meant, request, pairs)
        shape = meant.model.operations[meant.operation].input
        validation.validate(meant.model, meant.protocol, shape, params)
        needed = meant.model.shape(shape).required
        assert all(name in params for name in needed)
    except ServiceError as error:
        reply = form.error(error)
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
        "function": b"POST /2015-03-31/functions\r\n\r\n"
        b'{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Code":{"ZipFile":"eg=="},'
        b'"Architectures":["arm64"],"Environment":{"Variables":{"AB":"c"}}}',
        "alias": b"PUT /2015-03-31/functions/f%3A1/aliases/a/\r\n\r\n"
        b'{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.5}}}',
        "layer": b"GET /2018-10-31/layers?find=LayerVersion&Arn=arn\r\n\r\n",
        "absent": b"GET /2025-11-30/capacity-providers/p\r\n\r\n",
        "logs": b"POST /\r\nx-amz-target: Logs_20140328.PutLogEvents\r\n\r\n"
        b'{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"m"}]}',
        "role": b"POST /\r\n\r\nAction=CreateRole&Version=2010-05-08&RoleName=r"
        b"&AssumeRolePolicyDocument=%7B%7D&Tags.member.1.Key=k&Tags.member.1.Value=v",
    }
