"""Counts what a web server's access log says, window by window. The event is of a Kinesis stream.

The state that one batch of a window returns is in the event of the next one; the last event of a
window has no records, and `isFinalInvokeForWindow`.
"""

import base64
import json
import os
import re
from datetime import datetime
from pathlib import Path

import boto3

ERRORS_SHARE_MAX = float(os.environ.get("ERRORS_SHARE_MAX", "0.05"))
REQUESTS_MIN = int(os.environ.get("REQUESTS_MIN", "20"))
SUMMARIES = Path(os.environ["SUMMARIES"])
# The combined format, and behind it the time the request took, in seconds.
LINE = re.compile(
    r'(?P<address>\S+) \S+ \S+ \[[^\]]+\] "(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" '
    r'(?P<status>[1-5][0-9]{2}) (?P<bytes>[0-9]+|-) "[^"]*" "[^"]*"(?: (?P<seconds>[0-9.]+))?'
)
# The bounds of the histogram of latencies, in milliseconds: ten for each power of ten.
BOUNDS = [round(10 ** (step / 10), 1) for step in range(50)]

sns = boto3.client("sns")


def handler(event, context):
    """Returns the window's state so far, or none behind its end."""
    state = event["state"] or {}
    for record in event["Records"]:
        count(state, base64.b64decode(record["kinesis"]["data"]).decode(errors="replace"))
    if not event["isFinalInvokeForWindow"]:
        return {"state": state}
    summary = {"window": event["window"], "shard": event["shardId"], **summarize(state)}
    keep(summary)
    print(json.dumps(summary))
    alarm(summary, event)
    return {"state": {}}


def count(state, line):
    """Add one line of the log to the state, which is JSON."""
    match = LINE.fullmatch(line)
    if match is None:
        add(state, "unreadable")
        return
    add(state, "requests")
    add(state, "bytes", 0 if match["bytes"] == "-" else int(match["bytes"]))
    add(state.setdefault("statuses", {}), match["status"])
    if match["seconds"]:
        milliseconds = float(match["seconds"]) * 1000
        place = sum(bound < milliseconds for bound in BOUNDS)
        add(state.setdefault("latencies", {}), str(place))


def add(counts, key, amount=1):
    counts[key] = counts.get(key, 0) + amount


def summarize(state):
    """What is worth knowing of a window."""
    requests, statuses = state.get("requests", 0), state.get("statuses", {})
    errors = sum(number for status, number in statuses.items() if status.startswith("5"))
    latencies = {int(place): number for place, number in state.get("latencies", {}).items()}
    return {
        "requests": requests,
        "unreadable": state.get("unreadable", 0),
        "bytes": state.get("bytes", 0),
        "statuses": dict(sorted(statuses.items())),
        "errors_share": round(errors / requests, 4) if requests else 0.0,
        "p50_ms": percentile(latencies, 0.50),
        "p95_ms": percentile(latencies, 0.95),
    }


def percentile(latencies, share):
    """The bound below which that share of the requests was; None without any."""
    wanted, seen = share * sum(latencies.values()), 0
    for place, number in sorted(latencies.items()):
        seen += number
        if seen >= wanted:
            return BOUNDS[min(place, len(BOUNDS) - 1)]
    return None


def keep(summary):
    """A file for each window. After a crash the same is written again, hence no appending."""
    start = datetime.fromisoformat(summary["window"]["start"].replace("Z", "+00:00"))
    name = f"{start:%Y-%m-%dT%H-%M-%SZ}-{summary['shard'][-2:]}.json"
    part = SUMMARIES / f".{name}.part"
    part.write_text(json.dumps(summary, indent=2) + "\n")
    part.replace(SUMMARIES / name)


def alarm(summary, event):
    """Tell the topic when too much went wrong, and there was enough to tell from."""
    if summary["requests"] < REQUESTS_MIN or summary["errors_share"] <= ERRORS_SHARE_MAX:
        return
    _, _, _, region, account, _ = event["eventSourceARN"].split(":", 5)
    sns.publish(
        TopicArn=f"arn:aws:sns:{region}:{account}:{os.environ['ALARMS']}",
        Subject=f"{summary['errors_share']:.1%} of the requests failed",
        Message=json.dumps(summary),
    )
