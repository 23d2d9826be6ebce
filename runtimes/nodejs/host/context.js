// The context object that Lambda passes to a handler.
'use strict';

// What is the same for all invocations; reading process.env is slow.
const constants = {
  functionName: undefined,
  functionVersion: undefined,
  memoryLimitInMB: undefined,
  logGroupName: undefined,
  logStreamName: undefined,
};

function prepare(environment) {
  constants.functionName = environment.AWS_LAMBDA_FUNCTION_NAME;
  constants.functionVersion = environment.AWS_LAMBDA_FUNCTION_VERSION;
  constants.memoryLimitInMB = environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  constants.logGroupName = environment.AWS_LAMBDA_LOG_GROUP_NAME;
  constants.logStreamName = environment.AWS_LAMBDA_LOG_STREAM_NAME;
}

function contextOf(request) {
  const { deadline_ms: deadline, client_context: clientContext } = request;
  // Written out: a spread would cost more than all the rest.
  return {
    functionName: constants.functionName,
    functionVersion: constants.functionVersion,
    memoryLimitInMB: constants.memoryLimitInMB,
    logGroupName: constants.logGroupName,
    logStreamName: constants.logStreamName,
    clientContext: clientContext === undefined ? undefined : JSON.parse(clientContext.toString()),
    identity: undefined,
    invokedFunctionArn: request.arn,
    awsRequestId: request.id,
    tenantId: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

/** Add what only handlers with callbacks may use; `end` takes an error or a result. */
function addCallbacks(context, end) {
  context.callbackWaitsForEmptyEventLoop = true;
  context.done = end;
  context.succeed = (result) => end(null, result);
  context.fail = (error) => end(error ?? 'handled');
}

module.exports = { addCallbacks, contextOf, prepare };
