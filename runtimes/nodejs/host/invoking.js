// The loop of an instance: an invocation in, its result or error out.
//
// Between two invocations the process waits in a blocking read, so the event loop stands still as
// an idle environment does in Lambda; while a handler is pending the loop runs. Each turn is a
// `setImmediate` of its own: what the last handler left undone (ticks, microtasks, rejections that
// nobody handles) has happened by the time its reply is written.
'use strict';

const { addCallbacks, contextOf } = require('./context');
const { Fault, shape } = require('./errors');
const logs = require('./logs');
const { ResponseStream } = require('./streaming');
const trace = require('./trace');

// Functions replace these, for example with fake clocks.
const nextTurn = setImmediate;
const { parse, stringify } = JSON;

class Server {
  /** `end` is called when there is nothing more to come. */
  constructor(frames, { handler, manner }, end) {
    this._frames = frames;
    this._handler = handler;
    this._call = { callback: withCallback, promise: plainly, stream: withStream }[manner];
    this._end = end;
    // The invocation that is not answered yet, and the answer when it is due.
    this._run = undefined;
    this._reply = undefined;
    this.turn = this.turn.bind(this);
  }

  /** Answer what is due, wait for the next invocation and begin it. */
  turn() {
    if (this._reply !== undefined) {
      this._frames.write(this._reply);
      this._reply = this._run = undefined;
    }
    const request = this._frames.read();
    if (request === null || request.kind === 'stop') this._end();
    else this._begin(request);
  }

  /** The event loop has nothing left to do, and there is still no answer. */
  emptied() {
    if (this._run !== undefined && !this._run.settled) this._run.whenEmpty();
  }

  /** An error that nobody caught: it is the running invocation's. The process must end after. */
  crashed(error) {
    if (this._run !== undefined) {
      this._frames.write({ ...failed(this._run.id, error), ends: true });
    }
  }

  succeed(run, value) {
    if (run.settled) return;
    let payload;
    try {
      payload = stringify(value) ?? 'null';
    } catch {
      const words = 'Unable to stringify response body';
      this.fail(run, new Fault('Runtime.JSONStringifyError', words));
      return;
    }
    this._settle(run, { kind: 'result', id: run.id, payload });
  }

  fail(run, error) {
    if (run.settled) return;
    logs.failure('Invoke Error', error);
    this._settle(run, failed(run.id, error));
  }

  /** Send a piece of a streamed result. */
  send(run, payload, contentType) {
    if (run.settled) return;
    const message = { kind: 'chunk', id: run.id, payload };
    if (contentType !== undefined) message.content_type = contentType;
    this._frames.write(message);
  }

  /** A streamed result has been sent. */
  finish(run) {
    if (!run.settled) this._settle(run, { kind: 'result', id: run.id, payload: '' });
  }

  _begin(request) {
    const run = { id: request.id, settled: false, whenEmpty: undefined };
    run.whenEmpty = () => this.fail(run, neverSettled());
    this._run = run;
    logs.begin(run.id);
    trace.tell(request.trace_id);
    try {
      this._call(this._handler, parse(request.event.toString()), contextOf(request), run);
    } catch (error) {
      this.fail(run, error);
    }
  }

  _await(run, promise) {
    promise.then((value) => this.succeed(run, value), (error) => this.fail(run, error));
  }

  _settle(run, reply) {
    run.settled = true;
    this._reply = reply;
    nextTurn(this.turn);
  }
}

function failed(id, error) {
  const fields = shape(error);
  return { kind: 'error', id, type: fields.errorType, payload: stringify(fields) };
}

function neverSettled() {
  return new Fault(
    'Runtime.NodeJsExit',
    'Node.js has nothing left to do, and the handler has not returned: most often a promise that '
      + 'was never settled.',
  );
}

function isThenable(value) {
  return value !== null && typeof value === 'object' && typeof value.then === 'function';
}

// How handlers are called; each is a method of Server.

/** From Node.js 24 on: what the handler returns is the result, or the promise of it. */
function plainly(handler, event, context, run) {
  const returned = handler(event, context);
  if (isThenable(returned)) this._await(run, returned);
  else this.succeed(run, returned);
}

/** Before: a promise, or a callback, whose result waits until the event loop is empty. */
function withCallback(handler, event, context, run) {
  const end = (error, result) => {
    if (error === undefined || error === null) this.succeed(run, result);
    else this.fail(run, error);
  };
  const callback = (error, result) => {
    const fails = error !== undefined && error !== null;
    if (fails || !context.callbackWaitsForEmptyEventLoop) end(error, result);
    else run.whenEmpty = () => this.succeed(run, result);
  };
  addCallbacks(context, end);
  const { whenEmpty } = run;
  run.whenEmpty = () => this.succeed(run, null);
  const returned = handler(event, context, callback);
  if (!isThenable(returned)) return;
  run.whenEmpty = whenEmpty;
  this._await(run, returned);
}

/** A handler that writes its result to a stream. */
function withStream(handler, event, context, run) {
  const response = new ResponseStream((payload, type) => this.send(run, payload, type));
  response.on('error', (error) => this.fail(run, error));
  const returned = handler(event, response, context);
  if (!isThenable(returned)) throw new Error('Streaming does not support non-async handlers.');
  returned.then(
    (value) => {
      if (value !== undefined) console.warn('Streaming handlers ignore return values.');
      if (response.writableFinished) this.finish(run);
      else response.on('finish', () => this.finish(run));
      run.whenEmpty = () => this.fail(run, new Error('Response stream is not finished.'));
    },
    (error) => this.fail(run, error),
  );
}

module.exports = { Server, failed };
