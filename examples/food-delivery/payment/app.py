"""Payment: charges the orders of the queue `orders`, and lets it be known how that went.

It may get an order more than once: when the card service was down, or when the machine was,
before the queue heard that the order was dealt with. Whatever it does has the same outcome the
second time: the card service repeats its answer, the receipt is there already, and those who hear
of the payment know it by its order.
"""

import json
import os

import boto3
import cards
import files

RECEIPTS = os.environ["RECEIPTS"]

sns = boto3.client("sns")


def handler(event, context):
    news, failed = [], []
    for record in event["Records"]:
        try:
            news.append(settle(record))
        except Exception as error:
            # Whatever it was: it is to delay no other order of the batch.
            print(f"message {record['messageId']}: {type(error).__name__}: {error}")
            failed.append(record["messageId"])
    failed += publish(news, topic_arn(context.invoked_function_arn))
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def settle(record):
    """Charge an order; what is to be published of it, under its message's id."""
    order = json.loads(record["body"])
    attempt = int(record["attributes"]["ApproximateReceiveCount"])
    answer = cards.charge(order["order_id"], attempt, order["card"], order["total_cents"])
    status = "confirmed" if answer["approved"] else "declined"
    print(f"order {order['order_id']}: {status} at attempt {attempt}")
    if status == "confirmed":
        write_receipt(order)
    told = ("order_id", "accepted_at", "customer", "email", "phone", "total_cents")
    message = {key: order[key] for key in told} | {"reason": answer["reason"]}
    return {
        "Id": record["messageId"],
        "Message": json.dumps(message),
        "MessageAttributes": {"status": {"DataType": "String", "StringValue": status}},
    }


def write_receipt(order):
    shown = ("order_id", "accepted_at", "customer", "items", "total_cents")
    receipt = {key: order[key] for key in shown} | {"card": f"...{order['card'][-4:]}"}
    path = os.path.join(RECEIPTS, f"{order['order_id']}.json")
    if not os.path.exists(path):
        files.write(path, json.dumps(receipt, indent=2) + "\n")


def publish(news, topic_arn):
    """Last, for then nothing is left to be done when it is known; gives what was refused."""
    if not news:
        return []
    reply = sns.publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=news)
    return [entry["Id"] for entry in reply["Failed"]]


def topic_arn(function_arn):
    """The topic is where the function is, and topics are not asked for by name."""
    partition, _, region, account = function_arn.split(":")[1:5]
    return f"arn:{partition}:sns:{region}:{account}:payments"
