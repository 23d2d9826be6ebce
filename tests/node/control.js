// Makes functions and what goes with them, as a deployment does: by AWS's SDK, as it comes.
// control.js SCENARIO: reads what it is to deploy, and tells what it saw.
const {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  StartLiveTailCommand,
  paginateFilterLogEvents,
} = require("@aws-sdk/client-cloudwatch-logs");
const lambda = require("@aws-sdk/client-lambda");
const { GetCallerIdentityCommand, STSClient } = require("@aws-sdk/client-sts");
const sleep = require("node:timers/promises").setTimeout;

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

// One that is in the making cannot be deleted.
async function enabled(UUID) {
  const mapping = await call("GetEventSourceMapping", { UUID });
  if (mapping.State === "Enabled") return mapping;
  await sleep(100);
  return enabled(UUID);
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
  const mapping = await enabled(UUID);
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

// What stands round a function.
async function resources({ first, layer, role, queue }) {
  const saw = {};
  const published = await call("PublishLayerVersion", {
    LayerName: "l",
    Content: { ZipFile: Buffer.from(layer, "base64") },
    CompatibleRuntimes: ["python3.12"],
  });
  saw.layer = [published.LayerVersionArn, published.Version];
  const { FunctionArn } = await call("CreateFunction", {
    FunctionName,
    Runtime: "python3.12",
    Role: role,
    Handler: "app.handler",
    Code: { ZipFile: Buffer.from(first, "base64") },
    Layers: [published.LayerVersionArn],
    Publish: true,
  });
  await lambda.waitUntilFunctionActiveV2(waiting, { FunctionName });
  await invoked({ Payload: "{}" });

  const Action = "lambda:InvokeFunction";
  const allowed = { StatementId: "s", Action, Principal: "s3.amazonaws.com" };
  await call("AddPermission", { FunctionName, ...allowed });
  const { Policy } = await call("GetPolicy", { FunctionName });
  saw.policy = JSON.parse(Policy).Statement.map((each) => each.Sid);
  await call("RemovePermission", { FunctionName, StatementId: "s" });

  const Resource = FunctionArn.replace(/:1$/, "");
  await call("TagResource", { Resource, Tags: { a: "1", b: "2" } });
  await call("UntagResource", { Resource, TagKeys: ["a"] });
  saw.tags = (await call("ListTags", { Resource })).Tags;

  await call("PutFunctionConcurrency", { FunctionName, ReservedConcurrentExecutions: 0 });
  saw.stopped = await fault("Invoke", { FunctionName });
  await call("DeleteFunctionConcurrency", { FunctionName });

  const DestinationConfig = { OnFailure: { Destination: queue } };
  const kept = { FunctionName, MaximumRetryAttempts: 1, DestinationConfig };
  await call("PutFunctionEventInvokeConfig", kept);
  const provisioned = { FunctionName, Qualifier: "1" };
  const wanted = { ...provisioned, ProvisionedConcurrentExecutions: 1 };
  saw.provisioned = (await call("PutProvisionedConcurrencyConfig", wanted)).Status;
  const signed = await call("CreateCodeSigningConfig", {
    AllowedPublishers: {
      SigningProfileVersionArns: [
        "arn:aws:signer:us-east-1:123456789012:/signing-profiles/p/0123456789",
      ],
    },
  });
  const of = { FunctionName };
  const lists = [
    [lambda.paginateListLayers, {}, "Layers"],
    [lambda.paginateListLayerVersions, { LayerName: "l" }, "LayerVersions"],
    [lambda.paginateListFunctionEventInvokeConfigs, of, "FunctionEventInvokeConfigs"],
    [lambda.paginateListProvisionedConcurrencyConfigs, of, "ProvisionedConcurrencyConfigs"],
    [lambda.paginateListCodeSigningConfigs, {}, "CodeSigningConfigs"],
  ];
  saw.lists = [];
  for (const each of lists) saw.lists.push((await all(...each)).length);

  await call("DeleteProvisionedConcurrencyConfig", provisioned);
  await call("DeleteFunctionEventInvokeConfig", of);
  const { CodeSigningConfigArn } = signed.CodeSigningConfig;
  await call("DeleteCodeSigningConfig", { CodeSigningConfigArn });
  saw.faults = [
    await fault("GetPolicy", of),
    await fault("GetProvisionedConcurrencyConfig", provisioned),
    await fault("GetFunctionEventInvokeConfig", of),
    await fault("GetCodeSigningConfig", { CodeSigningConfigArn }),
  ];
  const { Account } = await new STSClient().send(new GetCallerIdentityCommand());
  saw.account = Account;
  await call("DeleteFunction", of);
  await call("DeleteLayerVersion", { LayerName: "l", VersionNumber: 1 });
  return saw;
}

async function logs({ group }) {
  const reader = { client: new CloudWatchLogsClient({ maxAttempts: 1 }), pageSize: 1 };
  const found = [];
  const wanted = { logGroupName: group, filterPattern: '"START RequestId"' };
  for await (const page of paginateFilterLogEvents(reader, wanted)) found.push(...page.events);
  return found.map(({ message }) => message.split(" ")[0]);
}

async function liveTail() {
  const logGroupName = "followed";
  const client = new CloudWatchLogsClient({ maxAttempts: 1, disableHostPrefix: true });
  const stream = { logGroupName, logStreamName: "s" };
  await client.send(new CreateLogGroupCommand({ logGroupName }));
  await client.send(new CreateLogStreamCommand(stream));
  const tail = await client.send(new StartLiveTailCommand({ logGroupIdentifiers: [logGroupName] }));
  const found = [];
  for await (const { sessionStart, sessionUpdate } of tail.responseStream) {
    if (sessionStart) {
      found.push(sessionStart.logGroupIdentifiers);
      const logEvents = [{ timestamp: Date.now(), message: "seen" }];
      await client.send(new PutLogEventsCommand({ ...stream, logEvents }));
    }
    found.push(...(sessionUpdate?.sessionResults ?? []).map(({ message }) => message));
    if (found.length === 2) break;
  }
  client.destroy();
  return found;
}

const scenarios = { functions, resources, logs, liveTail };
const wanted = JSON.parse(require("fs").readFileSync(0, "utf8"));
scenarios[process.argv[2]](wanted).then((saw) => console.log(JSON.stringify(saw)));
