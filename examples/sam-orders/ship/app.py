"""Ships the orders of each message: a record of what Import has returned."""

import json


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            for order in json.loads(record["body"])["responsePayload"]:
                print(f"shipped {order['count']} x {order['item']}")
        except (KeyError, TypeError, ValueError) as error:
            print(f"cannot ship {record['messageId']}: {error!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
