"""What an order costs, over HTTP."""

import json

PRICES = {"keyboard": 49.90, "cable": 7.49}


def handler(event, context):
    try:
        order = json.loads(event["body"])
        total = PRICES[order["item"]] * int(order["count"])
    except (KeyError, TypeError, ValueError):
        return {"statusCode": 400, "body": "an order has an item and a count\n"}
    return {"total": round(total, 2)}
