// The context object that Lambda passes to a handler.
'use strict';

let constants = {};

/** Take what is the same for all invocations; reading process.env is slow. */
function prepare(environment) {
  constants = {
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

function contextOf(request) {
  const deadline = request.deadline_ms;
  const { client_context: clientContext } = request;
  return {
    ...constants,
    clientContext: clientContext === undefined ? undefined : JSON.parse(clientContext.toString()),
    identity: undefined,
    invokedFunctionArn: request.arn,
    awsRequestId: request.id,
    tenantId: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

/** Add what only handlers with callbacks may use; `end` takes an error or a result. */
function addCallbacks(context, run, end) {
  Object.assign(context, {
    done: end,
    succeed: (result) => end(null, result),
    fail: (error) => end(error ?? 'handled'),
  });
  Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    enumerable: true,
    get: () => run.waits,
    set: (waits) => {
      run.waits = Boolean(waits);
    },
  });
}

module.exports = { addCallbacks, contextOf, prepare };
