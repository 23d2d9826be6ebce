// What the host runs before it says `ready`, so that a function's first invocation meets code that
// is loaded and compiled.
'use strict';

const path = require('path');
const context = require('./context');
const { Fault, shape } = require('./errors');
const { repeating } = require('./frames');
const { Server } = require('./invoking');
const { load } = require('./loading');
const logs = require('./logs');

// More of them make `ready` later and the first invocation no faster.
const ROUNDS = 20;
const REQUEST = {
  kind: 'invoke',
  id: '00000000-0000-0000-0000-000000000000',
  deadline_ms: 0,
  arn: 'arn:aws:lambda:us-east-1:123456789012:function:rehearsal',
  event: Buffer.from('{"a": [1, 2.5, "b", null, true], "c": {"d": "\u00e4"}}'),
};

// What most functions load of Node.js itself, AWS's SDK first of all: each takes a millisecond or more.
const USUAL = [
  'assert', 'async_hooks', 'child_process', 'crypto', 'dns', 'fs/promises', 'http', 'https', 'os',
  'querystring', 'stream/promises', 'string_decoder', 'timers/promises', 'url', 'util', 'zlib',
];

async function rehearse() {
  context.prepare({});
  for (const name of USUAL) require(name);
  for (const name of ['rehearsed.handler', 'rehearsed-module.handler']) {
    const target = await load(path.join(__dirname, 'rehearsed'), name);
    for (const manner of ['promise', 'callback']) await serve({ ...target, manner });
  }
  logs.rehearse();
  shape(new Fault('Rehearsal', 'none'));
  logs.begin(undefined);
}

function serve(target) {
  return new Promise((resolve) => {
    new Server(repeating(REQUEST, ROUNDS), target, resolve).turn();
  });
}

module.exports = { rehearse };
