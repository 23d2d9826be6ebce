// Makes functions and what goes with them, as a deployment does: by AWS's SDK, as it comes.
// control.js SCENARIO: reads what it is to deploy, and tells what it saw.
const lambda = require("@aws-sdk/client-lambda");

const client = new lambda.LambdaClient({ maxAttempts: 1 });
const FunctionName = "f";
const waiting = { client, maxWaitTime: 60 };

const call = (name, input) => client.send(new lambda[`${name}Command`](input));
// Of an empty body the SDK makes no bytes at all.
const text = (bytes) => Buffer.from(bytes ?? "").toString();

async function all(paginate, input, key) {
  const found = [];
  for await (const page of paginate({ client, pageSize: 1 }, input)) found.push(...page[key]);
  return found;
}

// The type of the exception, the status and the message.
async function fault(name, input) {
  try {
    await call(name, input);
  } catch (error) {
    const { httpStatusCode } = error.$metadata;
    const type = lambda[error.name] ?? lambda.LambdaServiceException;
    if (!(error instanceof type)) throw error;
    return [error.name, httpStatusCode, error.message];
  }
  throw new Error(`${name} was not refused`);
}

async function streamed(input) {
  const { EventStream, ExecutedVersion } = await call("InvokeWithResponseStream", input);
  let payload = "";
  for await (const { PayloadChunk, InvokeComplete } of EventStream) {
    if (PayloadChunk) payload += text(PayloadChunk.Payload);
    if (InvokeComplete?.ErrorCode) throw new Error(InvokeComplete.ErrorDetails);
  }
  return [ExecutedVersion, JSON.parse(payload)];
}

async function invoked(input) {
  const reply = await call("Invoke", { FunctionName, ...input });
  return [reply.StatusCode, reply.ExecutedVersion ?? "", text(reply.Payload)];
}

async function functions({ first, second, role, queue }) {
  const saw = {};
  const wanted = {
    FunctionName,
    Runtime: "python3.12",
    Role: role,
    Handler: "app.handler",
    Code: { ZipFile: Buffer.from(first, "base64") },
    Environment: { Variables: { SAID: "one" } },
  };
  const made = await call("CreateFunction", wanted);
  saw.created = [made.FunctionArn, made.State, made.Timeout, made.CodeSha256];
  await lambda.waitUntilFunctionActiveV2(waiting, { FunctionName });
  saw.answered = await invoked({ Payload: JSON.stringify({ a: 1 }), LogType: "Tail" });
  saw.accepted = await invoked({ Payload: "{}", InvocationType: "Event" });
  saw.tried = await invoked({ InvocationType: "DryRun" });
  saw.streamed = await streamed({ FunctionName, Payload: JSON.stringify({ b: 2 }) });
  await call("PublishVersion", { FunctionName, Description: "one" });

  await call("UpdateFunctionCode", { FunctionName, ZipFile: Buffer.from(second, "base64") });
  await lambda.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
  const Environment = { Variables: { SAID: "two" } };
  await call("UpdateFunctionConfiguration", { FunctionName, Environment, Timeout: 9 });
  await lambda.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
  saw.changed = await invoked({ Payload: "{}" });
  const { Version } = await call("PublishVersion", { FunctionName });
  await lambda.waitUntilPublishedVersionActive(waiting, { FunctionName, Qualifier: Version });
  const RoutingConfig = { AdditionalVersionWeights: { [Version]: 0.25 } };
  const alias = { FunctionName, Name: "live", FunctionVersion: "1", RoutingConfig };
  const { AliasArn } = await call("CreateAlias", alias);
  const weights = (await call("GetAlias", { FunctionName, Name: "live" })).RoutingConfig;
  saw.alias = [AliasArn, weights.AdditionalVersionWeights];
  const only = { AdditionalVersionWeights: {} };
  await call("UpdateAlias", { FunctionName, Name: "live", RoutingConfig: only });
  saw.live = await invoked({ Qualifier: "live", Payload: "{}" });

  const url = await call("CreateFunctionUrlConfig", { FunctionName, AuthType: "AWS_IAM" });
  saw.url = url.FunctionUrl === (await call("GetFunctionUrlConfig", { FunctionName })).FunctionUrl;
  const source = { FunctionName, EventSourceArn: queue };
  const { UUID, State } = await call("CreateEventSourceMapping", source);
  const mapping = await call("GetEventSourceMapping", { UUID });
  saw.mapping = [State, mapping.LastModified instanceof Date];

  await call("CreateFunction", { ...wanted, FunctionName: "g" });
  const of = { FunctionName };
  const names = await all(lambda.paginateListFunctions, {}, "Functions");
  const numbers = await all(lambda.paginateListVersionsByFunction, of, "Versions");
  const aliases = await all(lambda.paginateListAliases, of, "Aliases");
  const mappings = await all(lambda.paginateListEventSourceMappings, of, "EventSourceMappings");
  const urls = await all(lambda.paginateListFunctionUrlConfigs, of, "FunctionUrlConfigs");
  saw.lists = [
    names.map((each) => each.FunctionName),
    numbers.map((each) => each.Version),
    aliases.map((each) => each.Name),
    mappings.map((each) => each.UUID === UUID),
    urls.length,
  ];
  const other = { ...wanted, FunctionName: "h" };
  saw.faults = [
    await fault("GetFunction", { FunctionName: "h" }),
    await fault("CreateFunction", wanted),
    await fault("CreateFunction", { ...other, Role: "me" }),
    await fault("CreateFunction", { ...other, Code: { ZipFile: Buffer.from("x") } }),
    await fault("PublishVersion", { FunctionName, RevisionId: "old" }),
    await fault("Invoke", { FunctionName, Payload: "{" }),
    await fault("Invoke", { FunctionName, Qualifier: "dead" }),
    await fault("InvokeWithResponseStream", { FunctionName: "h" }),
    await fault("GetCapacityProvider", { CapacityProviderName: "c" }),
  ];
  await call("DeleteEventSourceMapping", { UUID });
  await call("DeleteFunctionUrlConfig", { FunctionName });
  await call("DeleteAlias", { FunctionName, Name: "live" });
  await call("DeleteFunction", { FunctionName });
  await call("DeleteFunction", { FunctionName: "g" });
  saw.left = (await call("ListFunctions", {})).Functions;
  return saw;
}

const scenarios = { functions };
const wanted = JSON.parse(require("fs").readFileSync(0, "utf8"));
scenarios[process.argv[2]](wanted).then((saw) => console.log(JSON.stringify(saw)));
