// The trace id in the environment, another one with each invocation.
//
// Node.js sets a variable by setenv(3), which keeps every value for good: with each call's own that
// comes to a leak. So this one variable is not the process's, but is seen in `process.env` as if it
// were, and is copied from there for children.
'use strict';

const NAME = '_X_AMZN_TRACE_ID';

let told;

function seen(real) {
  return new Proxy(real, {
    get: (env, name) => (name === NAME ? told : env[name]),
    has: (env, name) => (name === NAME ? told !== undefined : name in env),
    set(env, name, value) {
      if (name === NAME) told = String(value);
      else env[name] = value;
      return true;
    },
    deleteProperty(env, name) {
      if (name === NAME) told = undefined;
      return delete env[name];
    },
    ownKeys(env) {
      const names = Reflect.ownKeys(env).filter((name) => name !== NAME);
      return told === undefined ? names : [...names, NAME];
    },
    getOwnPropertyDescriptor(env, name) {
      if (name !== NAME) return Reflect.getOwnPropertyDescriptor(env, name);
      const described = { value: told, writable: true, enumerable: true, configurable: true };
      return told === undefined ? undefined : described;
    },
  });
}

/** Have the variable seen; before anything of the function's is loaded. */
function install() {
  delete process.env[NAME];
  process.env = seen(process.env);
}

/** The id of the invocation that begins; undefined when it has none. */
function tell(id) {
  told = id;
}

module.exports = { install, tell };
