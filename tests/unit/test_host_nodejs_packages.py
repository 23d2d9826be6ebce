"""Handlers as people write them: with packages from npm, unmodified, on the Node.js host.

`npm install` in tests/node installs the packages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from spare_world import Spare, Spares

NODE_MODULES = Path(__file__).parents[1] / "node" / "node_modules"


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[Spares]:
    with Spares(tmp_path, "nodejs") as spares:
        yield spares


def loaded(spares: Spares, name: str, code: str) -> Spare:
    """A host that has loaded this code and finds the packages."""
    assert NODE_MODULES.is_dir(), "the packages are missing: run `npm install` in tests/node"
    spare = spares.start({name: code})
    (spare.code / "node_modules").symlink_to(NODE_MODULES)
    answer = spare.load("index.handler")
    assert answer["kind"] == "loaded", answer
    return spare


EXPRESS = """
const express = require('express');
const app = express();
app.use(express.json());
app.post('/orders/:id', (request, response) => {
  response.status(201).set('X-Seen', request.query.q).json({
    id: request.params.id, body: request.body,
  });
});
exports.handler = require('serverless-http')(app);
"""


def test_express_serves_through_serverless_http(spares: Spares) -> None:
    spare = loaded(spares, "index.js", EXPRESS)
    event = {
        "version": "2.0",
        "rawPath": "/orders/7",
        "rawQueryString": "q=z",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/orders/7", "sourceIp": "::1"}},
        "body": '{"a": 1}',
        "isBase64Encoded": False,
    }
    for _ in range(2):
        reply = json.loads(spare.result(json.dumps(event).encode()))
        assert reply["statusCode"] == 201
        assert reply["headers"]["x-seen"] == "z"
        assert json.loads(reply["body"]) == {"id": "7", "body": {"a": 1}}


MIDDY = """
import middy from '@middy/core';
import jsonBodyParser from '@middy/http-json-body-parser';
import httpErrorHandler from '@middy/http-error-handler';

export const handler = middy()
  .use(jsonBodyParser())
  .use(httpErrorHandler())
  .handler(async (event) => ({ statusCode: 200, body: event.body.name }));
"""


def test_middy_wraps_a_handler(spares: Spares) -> None:
    spare = loaded(spares, "index.mjs", MIDDY)
    event = {"headers": {"Content-Type": "application/json"}, "body": '{"name": "n"}'}
    assert json.loads(spare.result(json.dumps(event).encode())) == {"statusCode": 200, "body": "n"}
    event["body"] = "{"
    assert json.loads(spare.result(json.dumps(event).encode()))["statusCode"] == 415


MIDDY_STREAM = """
import { Readable } from 'node:stream';
import middy from '@middy/core';

export const handler = middy({ streamifyResponse: true }).handler(async () => ({
  statusCode: 206, headers: { 'Content-Type': 'text/plain' }, body: Readable.from(['a', 'b']),
}));
"""


def test_middy_streams(spares: Spares) -> None:
    spare = loaded(spares, "index.mjs", MIDDY_STREAM)
    messages = [spare.invoke()]
    while messages[-1]["kind"] == "chunk":
        messages.append(spare.talk.receive())
    assert messages[-1]["kind"] == "result"
    assert messages[0]["content_type"] == "application/vnd.awslambda.http-integration-response"
    prelude, _, body = b"".join(m["payload"] for m in messages).partition(bytes(8))
    assert json.loads(prelude)["statusCode"] == 206
    assert body == b"ab"
