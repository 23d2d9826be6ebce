// Failures in Lambda's shape: errorType, errorMessage, trace.
'use strict';

const { isNativeError } = require('util').types;

/** A failure that Lambda has a name for. */
class Fault extends Error {
  constructor(name, message, stack) {
    super(message);
    // Not enumerable, so that the log does not repeat it.
    Object.defineProperty(this, 'name', { value: name });
    this.stack = stack ?? `${name}: ${message}\n${this.stack.split('\n').slice(1).join('\n')}`;
  }
}

function isError(thrown) {
  return thrown instanceof Error || isNativeError(thrown);
}

/** The error object for whatever was thrown. */
function shape(thrown) {
  try {
    if (!isError(thrown)) {
      return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] };
    }
    const { name, message, stack } = thrown;
    return {
      errorType: String(name),
      errorMessage: String(message),
      trace: typeof stack === 'string' ? stack.split('\n') : [],
    };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'cannot tell the error: reading its name, message or stack failed',
      trace: [],
    };
  }
}

/** The same for the log, with the fields that the error has besides. */
function logged(thrown) {
  const error = isError(thrown) ? thrown : new Error(stringOf(thrown));
  try {
    return JSON.stringify(error, (_, item) => (isError(item) ? expanded(item) : item));
  } catch {
    return JSON.stringify(shape(error));
  }
}

function expanded(error) {
  const fields = { errorType: error.name, errorMessage: error.message, code: error.code };
  Object.assign(fields, error);
  if (typeof error.stack === 'string') fields.stack = error.stack.split('\n');
  return fields;
}

function stringOf(thrown) {
  try {
    return String(thrown);
  } catch {
    return `an unprintable ${typeof thrown}`;
  }
}

/** What Lambda calls a rejection that nobody handles. */
function unhandled(reason) {
  const name = 'Runtime.UnhandledPromiseRejection';
  const said = stringOf(reason);
  const trace = shape(reason).trace.filter((line) => /^\s+at /.test(line));
  const fault = new Fault(name, said, [`${name}: ${said}`, ...trace].join('\n'));
  return Object.assign(fault, { reason });
}

module.exports = { Fault, isError, logged, shape, stringOf, unhandled };
