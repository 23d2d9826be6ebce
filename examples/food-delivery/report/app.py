"""Report: what a day brought, written to `reports/DATE.txt`.

The schedule asks for the day that has just ended; by hand any can be asked for, and without a date
it is today. A day begins and ends by the clock of `$TIME_ZONE`.
"""

import json
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import boto3

BOOKS = Path(os.environ["BOOKS"])
REPORTS = Path(os.environ["REPORTS"])
ZONE = ZoneInfo(os.environ["TIME_ZONE"])
QUEUES = ("orders", "orders-dead", "undelivered")

sqs = boto3.client("sqs")


def handler(event, context):
    day = day_of(event)
    totals = [entry["total_cents"] for entry in entries() if local_day(entry) == day]
    report = {
        "date": day.isoformat(),
        "orders": len(totals),
        "total_cents": sum(totals),
        "queues": {name: messages_in(name) for name in QUEUES},
    }
    (REPORTS / f"{day}.txt").write_text(text_of(report))
    return report


def day_of(event):
    """The day before a schedule's event, or what the caller says, or today."""
    if event.get("source") == "aws.events":
        due = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
        return due.astimezone(ZONE).date() - timedelta(days=1)
    if "date" in event:
        return date.fromisoformat(event["date"])
    return datetime.now(ZONE).date()


def entries():
    return (json.loads(path.read_text()) for path in BOOKS.glob("[!.]*.json"))


def local_day(entry):
    return datetime.fromisoformat(entry["accepted_at"]).astimezone(ZONE).date()


def messages_in(name):
    """Waiting ones and those that somebody is at."""
    kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=kinds)["Attributes"]
    return sum(int(found[kind]) for kind in kinds)


def text_of(report):
    waiting = report["queues"]
    return (
        f"Report of {report['date']}\n\n"
        f"orders paid       {report['orders']:>10}\n"
        f"sum             {report['total_cents'] / 100:>12.2f}\n\n"
        f"By now:\n"
        f"not yet charged   {waiting['orders']:>10}\n"
        f"never charged     {waiting['orders-dead']:>10}\n"
        f"never told        {waiting['undelivered']:>10}\n"
    )
