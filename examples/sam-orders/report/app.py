"""What a schedule does every night."""

import os


def handler(event, context):
    return {"stage": os.environ["STAGE"], "at": event.get("time")}
