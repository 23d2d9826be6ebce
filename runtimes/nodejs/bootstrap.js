// Entry of the Node.js host: requests on fd 3, replies on fd 4. Needs Node.js 18 and nothing else.
'use strict';

const { closeSync } = require('fs');

const context = require('./host/context');
const errors = require('./host/errors');
const frames = require('./host/frames');
const { Server, failed } = require('./host/invoking');
const { load } = require('./host/loading');
const logs = require('./host/logs');
const { rehearse } = require('./host/rehearsal');
const streaming = require('./host/streaming');
const trace = require('./host/trace');

const PROTOCOL = 1;
const REQUESTS = 3;
const REPLIES = 4;
// Lambda's exit statuses, and Node.js's own for a main module whose `await` never ends.
const STATUS_REJECTION = 128;
const STATUS_EXCEPTION = 129;
const STATUS_UNSETTLED = 13;

// Functions replace these.
const { exit, chdir, env } = process;
const channel = frames.onDescriptors(REQUESTS, REPLIES);

async function main() {
  logs.replaceStreams();
  streaming.install();
  await rehearse();
  globalThis.gc?.();
  channel.write({ kind: 'ready', protocol: PROTOCOL, pid: process.pid });
  const init = channel.read();
  if (init === null || init.kind === 'stop') exit(0);
  adopt(init.env);
  await serve(init.handler);
}

/** Take over the function's variables; its code is where the folder was empty before. */
function adopt(variables) {
  Object.assign(env, variables);
  trace.install();
  chdir(env.LAMBDA_TASK_ROOT);
  context.prepare(env);
  logs.patchConsole(env);
}

async function serve(handler) {
  const fate = watch();
  let target;
  try {
    target = await load(env.LAMBDA_TASK_ROOT, handler);
  } catch (error) {
    logs.failure('Init Error', error);
    channel.write(failed('', error));
    exit(1);
  }
  const server = new Server(channel, target, () => exit(0));
  fate.crashed = (error) => server.crashed(error);
  fate.emptied = () => server.emptied();
  channel.write({ kind: 'loaded', forkable: false, why: 'Node.js cannot fork' });
  server.turn();
}

/** What becomes of errors that nobody catches, and of an empty event loop. */
function watch() {
  const fate = {
    crashed: (error) => channel.write(failed('', error)),
    emptied: () => exit(STATUS_UNSETTLED),
  };
  const crash = (title, error, status) => {
    logs.failure(title, error);
    fate.crashed(error);
    // At once: ending takes milliseconds, in which nobody must take this for a live instance.
    closeSync(REPLIES);
    exit(status);
  };
  process.on('uncaughtException', (error) => {
    crash('Uncaught Exception', error, STATUS_EXCEPTION);
  });
  process.on('unhandledRejection', (reason) => {
    crash('Unhandled Promise Rejection', errors.unhandled(reason), STATUS_REJECTION);
  });
  process.on('beforeExit', () => fate.emptied());
  return fate;
}

main();
