// Finding the handler, in the order and with the words of Lambda's runtime.
'use strict';

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const { Fault } = require('./errors');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const TYPESCRIPT = ['.ts', '.mts', '.cts'];
const EXTENSIONS = ['', '.js', '.mjs', '.cjs', ...TYPESCRIPT];
const CALLBACKS_END = 24;

/** The handler named `dir/file.export`, which may be nested: `file.a.b`. */
async function load(root, name) {
  if (name.includes('..')) {
    throw new Fault(
      'Runtime.MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories `
        + 'in handler names.',
    );
  }
  const { dir, module, names } = split(name);
  const handler = find(await loadModule(root, dir, module), names);
  if (typeof handler !== 'function') {
    const what = handler ? 'is not a function' : 'is undefined or not exported';
    throw new Fault('Runtime.HandlerNotFound', `${name} ${what}`);
  }
  return describe(handler);
}

function split(name) {
  const file = path.basename(name);
  const match = /^([^.]*)\.(.*)$/.exec(file);
  if (!match) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  return { dir: name.slice(0, name.length - file.length), module: match[1], names: match[2] };
}

function find(module, names) {
  const within = (from) => names.split('.').reduce((found, key) => found?.[key], from);
  return within(module) || within(module?.default);
}

/** A handler and how it wants to be called. */
function describe(handler) {
  const streams = handler[STREAMING];
  if (streams && streams !== 'response') {
    throw new Fault('Runtime.MalformedStreamingHandler', 'Only response streaming is supported.');
  }
  const callbacks = majorVersion() < CALLBACKS_END;
  if (!callbacks && !streams && handler.length >= 3) {
    throw new Fault(
      'Runtime.CallbackHandlerDeprecated',
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with '
        + 'Node.js 24. You need to modify this function to use a supported handler signature to use '
        + 'Node.js 24 or later.',
    );
  }
  const manner = callbacks ? 'callback' : 'promise';
  return { handler, manner: streams ? 'stream' : manner };
}

function majorVersion() {
  return Number.parseInt(process.versions.node, 10);
}

async function loadModule(root, dir, module) {
  try {
    const stem = path.resolve(root, dir, module);
    const extension = EXTENSIONS.find((candidate) => isFile(stem + candidate));
    if (extension !== undefined) return await loadFile(root, stem + extension);
    const requireThere = requireIn(root);
    // A folder with an index, or an installed package.
    if (fs.existsSync(stem)) return requireThere(stem);
    return requireThere(requireThere.resolve(module, { paths: [root, path.join(root, dir)] }));
  } catch (error) {
    throw named(error);
  }
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** `require` as the function's own code has it: the host's would look beside the host. */
function requireIn(root) {
  return createRequire(path.join(root, 'index.js'));
}

/** Lambda's names for what can go wrong; the code's own errors stay as they are. */
function named(error) {
  if (error instanceof SyntaxError) {
    return new Fault('Runtime.UserCodeSyntaxError', String(error), error.stack);
  }
  if (error instanceof Error && error.code === 'MODULE_NOT_FOUND') {
    return new Fault('Runtime.ImportModuleError', String(error));
  }
  return error;
}

async function loadFile(root, file) {
  if (TYPESCRIPT.includes(path.extname(file)) && !process.features.typescript) {
    throw new Fault(
      'Runtime.ImportModuleError',
      `Error: Cannot load ${file}: Node.js ${process.versions.node} does not run TypeScript. Use `
        + 'Node.js 22.18 or newer, or deploy compiled JavaScript.',
    );
  }
  if (isEsModule(file)) return import(pathToFileURL(file).href);
  try {
    return requireIn(root)(file);
  } catch (error) {
    // Node.js found out that it is an ES module, and that it must be waited for.
    if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return import(pathToFileURL(file).href);
  }
}

function isEsModule(file) {
  const extension = path.extname(file);
  if (extension === '.mjs' || extension === '.mts') return true;
  return (extension === '.js' || extension === '.ts') && packageType(path.dirname(file)) === 'module';
}

/** What the nearest package.json says. */
function packageType(dir) {
  const file = path.join(dir, 'package.json');
  if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')).type;
  const parent = path.dirname(dir);
  return parent === dir || path.basename(dir) === 'node_modules' ? undefined : packageType(parent);
}

module.exports = { STREAMING, load };
