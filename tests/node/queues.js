// Uses topics and queues as a function does, or as a program outside: by AWS's SDK, as it comes.
const { PublishCommand, SNSClient } = require("@aws-sdk/client-sns");
const {
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} = require("@aws-sdk/client-sqs");

exports.handler = async ({ topic, queue, message }) => {
  const sns = new SNSClient();
  const sent = await sns.send(new PublishCommand({ TopicArn: topic, Message: message }));
  const sqs = new SQSClient();
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
  const MessageAttributes = { who: { DataType: "String", StringValue: "node" } };
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: message, MessageAttributes }));
  const wanted = { QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: ["All"] };
  const got = (await sqs.send(new ReceiveMessageCommand(wanted))).Messages[0];
  const { ReceiptHandle } = got;
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
  return {
    messageId: sent.MessageId,
    body: got.Body,
    attribute: got.MessageAttributes.who.StringValue,
  };
};

if (require.main === module) {
  const event = JSON.parse(require("fs").readFileSync(0, "utf8"));
  exports.handler(event).then((result) => console.log(JSON.stringify(result)));
}
