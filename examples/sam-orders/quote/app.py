"""What an order costs, over HTTP."""

import base64
import json

PRICES = {"keyboard": 49.90, "cable": 7.49}


def handler(event, context):
    try:
        # API Gateway encodes what does not say that it is text, such as what curl sends.
        body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"]
        order = json.loads(body)
        total = PRICES[order["item"]] * int(order["count"])
    except (KeyError, TypeError, ValueError):
        return {"statusCode": 400, "body": "an order has an item and a count\n"}
    return {"total": round(total, 2)}
