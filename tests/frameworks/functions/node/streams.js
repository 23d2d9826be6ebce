// Responses that are streamed, as AWS's documentation shows them.
'use strict';

const { pipeline } = require('stream/promises');
const { Readable } = require('stream');

exports.hello = awslambda.streamifyResponse(async (event, responseStream) => {
  const stream = awslambda.HttpResponseStream.from(responseStream, {
    statusCode: 201,
    headers: { 'Content-Type': 'text/html', 'X-Path': event.rawPath },
    cookies: ['a=1', 'b=2'],
  });
  stream.write('<p>first</p>');
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  stream.write('<p>second</p>');
  stream.end();
  await stream.finished?.();
});

exports.plain = awslambda.streamifyResponse(async (event, responseStream) => {
  responseStream.setContentType('text/plain');
  await pipeline(Readable.from(['a', 'b', 'c']), responseStream);
});

exports.large = awslambda.streamifyResponse(async (event, responseStream) => {
  const piece = Buffer.alloc(1024 * 1024, 'x');
  await pipeline(Readable.from((function* pieces() {
    for (let i = 0; i < 20; i += 1) yield piece;
  })()), responseStream);
});

exports.broken = awslambda.streamifyResponse(async (event, responseStream) => {
  responseStream.write('first');
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  throw new Error('in the middle');
});
