// What `console` and the standard streams do in a function, as in Lambda.
'use strict';

const { writeSync } = require('fs');
const { Writable } = require('stream');
const { format } = require('util');
const { isError, logged, stringOf } = require('./errors');

const STDOUT = 1;
const STDERR = 2;
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const METHODS = {
  trace: 'TRACE',
  debug: 'DEBUG',
  info: 'INFO',
  log: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
  fatal: 'FATAL',
};

let requestId;
let inJson = false;

/** The request whose id log lines carry from now on. */
function begin(id) {
  requestId = id;
}

// A standard stream that has written when `write` returns. Node's own makes a pipe non-blocking,
// and keeps back what does not fit into it: a reply would overtake it.
class Standard extends Writable {
  constructor(fd) {
    super({ decodeStrings: true, emitClose: false });
    this.fd = fd;
    this._type = 'fs';
    this._isStdio = true;
  }

  _write(chunk, _encoding, done) {
    try {
      for (let sent = 0; sent < chunk.length; ) sent += patientWrite(this.fd, chunk, sent);
      done();
    } catch (error) {
      done(error);
    }
  }

  // As in Node.js, these are never closed.
  _destroy(error, done) {
    done(error);
    this._undestroy();
  }
}

/** A child that shares the pipe may have made it non-blocking: then wait until it has room. */
function patientWrite(fd, chunk, sent) {
  try {
    return writeSync(fd, chunk, sent);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    return 0;
  }
}

function replaceStreams() {
  for (const [name, fd] of [['stdout', STDOUT], ['stderr', STDERR]]) {
    const stream = new Standard(fd);
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => stream,
    });
  }
}

/** Give `console` Lambda's formats; the environment says which, and how much. */
function patchConsole(environment) {
  inJson = environment.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const least = LEVELS[environment.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
  for (const [method, level] of Object.entries(METHODS)) {
    console[method] = LEVELS[level] < least ? () => {} : (...words) => print(level, words);
  }
}

function print(level, words) {
  process.stdout.write(line(level, words));
}

/** One line, whatever is said: a line feed inside becomes a carriage return. */
function line(level, words) {
  const said = inJson ? jsonLine(level, words) : textLine(level, words);
  return `${said.replace(/\n/g, '\r')}\n`;
}

function textLine(level, words) {
  return `${new Date().toISOString()}\t${requestId}\t${level}\t${format(...words)}`;
}

function jsonLine(level, words) {
  const fields = { timestamp: new Date().toISOString(), level, requestId };
  if (words.length === 1) return jsonOfOne(fields, words[0]);
  fields.message = format(...words);
  const error = words.slice(1).find((word) => word instanceof Error);
  return JSON.stringify(error === undefined ? fields : Object.assign(fields, described(error)));
}

function jsonOfOne(fields, message) {
  try {
    const replace = (_, item) => (isError(item) ? Object.assign(described(item), item) : item);
    return JSON.stringify({ ...fields, message }, replace);
  } catch {
    return JSON.stringify({ ...fields, message: format(message) });
  }
}

function described(error) {
  return {
    errorType: error.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
  };
}

/** Print a failure as Lambda's runtime does. */
function failure(title, thrown) {
  if (inJson) console.error(isError(thrown) ? thrown : new Error(stringOf(thrown)));
  else console.error(title, `\t${logged(thrown)}`);
}

/** Run the code that lines are made with, and print nothing. */
function rehearse() {
  line('INFO', ['%s of %d', 'a word', 1, { a: [1, 'b'] }]);
  process.stdout.write('');
}

module.exports = { begin, failure, patchConsole, rehearse, replaceStreams };
