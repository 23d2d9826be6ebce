// The conformance suite's cases in JavaScript.
'use strict';

const { spawnSync } = require('child_process');
const fs = require('fs');
const { setTimeout: pause } = require('timers/promises');

const LIST_DESCRIPTORS = 'for fd in 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done';

let counted = 0;
let ticked = 0;
let ticking;

const CASES = {
  echo: ({ value }) => value,

  null: () => undefined,

  fail: ({ message }) => {
    throw new Error(message);
  },

  exit: ({ status }) => process.exit(status),

  sleep: async ({ seconds }) => {
    await pause(seconds * 1000);
    return seconds;
  },

  spin: () => {
    for (;;);
  },

  allocate: ({ mb }) => {
    Buffer.alloc(mb * 1024 * 1024, 'x');
    return mb;
  },

  print: () => {
    process.stdout.write('to stdout\n');
    process.stderr.write('to stderr\n');
    console.warn('to the logger');
  },

  remaining: (event, context) => context.getRemainingTimeInMillis(),

  context: (event, context) => ({
    request_id: context.awsRequestId,
    function_name: context.functionName,
    function_version: context.functionVersion,
    invoked_function_arn: context.invokedFunctionArn,
    memory_limit_in_mb: Number(context.memoryLimitInMB),
    log_group_name: context.logGroupName,
    log_stream_name: context.logStreamName,
    client_context: context.clientContext?.custom ?? null,
    remaining_is_positive: context.getRemainingTimeInMillis() > 0,
  }),

  environment: () => process.env,

  count: () => {
    counted += 1;
    return counted;
  },

  ticks: () => {
    ticking ??= setInterval(() => {
      ticked += 1;
    }, 10);
    return ticked;
  },

  tmp: ({ value }) => {
    const before = fs.existsSync('/tmp/seen');
    fs.writeFileSync('/tmp/seen', JSON.stringify(value));
    return { read: JSON.parse(fs.readFileSync('/tmp/seen', 'utf8')), before };
  },

  cwd: () => ({ cwd: process.cwd(), listed: fs.existsSync('marker.txt') }),

  child: () => spawnSync('/bin/echo', ['from a child'], { stdio: 'inherit' }).status,

  pid: () => {
    const { stdout } = spawnSync('/bin/sh', ['-c', LIST_DESCRIPTORS], { encoding: 'utf8' });
    return { pid: process.pid, inherited: stdout.split('\n').filter(Boolean).length };
  },
};

exports.cases = async (event, context) => CASES[event.case](event, context);

exports.stream = awslambda.streamifyResponse(async ({ pieces, fail }, stream) => {
  for (const piece of pieces) stream.write(piece);
  if (fail) throw new Error('broken while streaming');
  stream.end();
});
