"""Invoice: makes an invoice of an order's text. Each step is a function in another language.

The others are called as on AWS, by Lambda's Invoke API, which is plain HTTP: no library is needed.
"""

import datetime
import json
import os
import urllib.request

STEPS = ("Read", "Check", "Price", "Terms", "Render")
URL = os.environ["AWS_ENDPOINT_URL_LAMBDA"] + "/2015-03-31/functions/{}/invocations"
# Every function has a key of its own, which is looked at where the gateway asks for one.
KEY = "{AWS_ACCESS_KEY_ID}.{AWS_SECRET_ACCESS_KEY}".format_map(os.environ)


class StepFailed(Exception):
    """A step refused what it was given; the text says which, and why."""


def handler(event, context):
    invoice = {
        "number": event.get("number") or context.aws_request_id[:8].upper(),
        "date": event.get("date") or datetime.date.today().isoformat(),
        "order": event.get("order", ""),
    }
    for step in STEPS:
        invoice |= call(step, json.dumps(invoice))
        print(f"{invoice['number']}: {step} done")
    # In one form only, so that whoever has the invoice can make the seal again.
    return invoice | call("Seal", json.dumps(invoice, sort_keys=True))


def call(name, payload):
    """What another function makes of it."""
    request = urllib.request.Request(URL.format(name), payload.encode())
    request.add_header("Authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request) as reply:
        answer = json.load(reply)
    if "X-Amz-Function-Error" in reply.headers:
        raise StepFailed(f"{name}: {answer.get('errorMessage')}")
    return answer
