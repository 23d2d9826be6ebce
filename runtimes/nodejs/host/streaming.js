// Streamed results: what `awslambda` offers for them, and the stream that a handler gets.
'use strict';

const { Writable } = require('stream');
const { Fault } = require('./errors');
const { STREAMING } = require('./loading');

const HTTP_CONTENT_TYPE = 'application/vnd.awslambda.http-integration-response';
const DELIMITER = Buffer.alloc(8);
// A frame has a limit, and what a handler writes has none.
const PIECE_BYTES = 256 * 1024;

// Writes each piece into the pipe before it takes the next: when the caller is slow, so is the
// handler, and nothing piles up in between.
class ResponseStream extends Writable {
  constructor(send) {
    super({ decodeStrings: true });
    this._send = send;
    this._contentType = undefined;
    this._started = false;
    // Where HttpResponseStream puts what must go ahead.
    this._prelude = undefined;
  }

  setContentType(contentType) {
    if (this._started) {
      throw new Fault('Runtime.InvalidStreamingOperation', 'Cannot set content-type, too late.');
    }
    this._contentType = contentType;
  }

  write(chunk, ...rest) {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(plain ? chunk : JSON.stringify(chunk), ...rest);
  }

  _write(chunk, _encoding, done) {
    this._start();
    for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
      this._piece(chunk.subarray(start, start + PIECE_BYTES));
    }
    done();
  }

  _final(done) {
    this._start();
    done();
  }

  _start() {
    if (this._started) return;
    this._started = true;
    if (this._prelude !== undefined) {
      this._piece(Buffer.concat([Buffer.from(this._prelude), DELIMITER]));
    }
  }

  _piece(payload) {
    const contentType = this._contentType;
    this._contentType = undefined;
    this._send(payload, contentType);
  }
}

const HttpResponseStream = {
  /** Puts status and headers ahead of what is written to the stream. */
  from(stream, prelude) {
    stream.setContentType(HTTP_CONTENT_TYPE);
    stream._prelude = JSON.stringify(prelude);
    return stream;
  },
};

function streamifyResponse(handler, options) {
  handler[STREAMING] = 'response';
  if (typeof options?.highWaterMark === 'number') {
    handler[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')]
      = options.highWaterMark;
  }
  return handler;
}

function install() {
  globalThis.awslambda = { ...globalThis.awslambda, streamifyResponse, HttpResponseStream };
}

module.exports = { ResponseStream, install };
