"""`microfaas stream`: put records into streams, look at what is in them, and who reads them."""

from __future__ import annotations

import base64
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import click

from microfaas import log
from microfaas.cli import output, project
from microfaas.client import Client
from microfaas.store import db
from microfaas.store.db import Database
from microfaas.store.streams import ShardRow, StreamStore

_EPILOG = """\
\b
Examples:
  microfaas stream put clicks -d '{"page": "/"}' --key visitor-7
  microfaas stream put clicks < clicks.jsonl       each line a record
  microfaas stream stats
  microfaas stream tail clicks -f
"""
_COLUMNS = ("STREAM", "SHARD", "RECORDS", "SIZE", "OLDEST", "READER", "BEHIND")
_NUMBERS = ("SHARD", "RECORDS", "SIZE", "BEHIND")
PUT_RECORDS = 500
PUT_BYTES = 4 * 1024 * 1024
FOLLOW_S = 0.5


@click.group("stream", epilog=_EPILOG)
def command() -> None:
    """Put records into streams, and look at what is in them."""


@command.command("put")
@click.argument("name")
@click.option("-d", "--data", metavar="DATA", help="One record; without it each line of stdin.")
@click.option("--key", metavar="KEY", help="The partition key; without it a new one for each.")
@project.reaching
def put(
    name: str,
    data: str | None,
    key: str | None,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
) -> None:
    """Put records into the stream NAME; prints how many are on disk."""
    client = project.reach(endpoint_url, key_file, ca_file)
    lines = [data.encode()] if data is not None else _lines()
    count = 0
    for records in _portions(lines, key):
        answer = client.call("Kinesis_20131202.PutRecords", StreamName=name, Records=records)
        count += len(records) - answer["FailedRecordCount"]
        for told in answer["Records"]:
            if "ErrorCode" in told:
                text = f"cannot put more: {told['ErrorMessage']} {count} records are on disk."
                raise click.ClickException(text)
    click.echo(count)


@command.command("stats")
@click.argument("name", required=False)
@click.option("--data", metavar="DIR", help="The server's data directory.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(name: str | None, data: str | None, as_json: bool) -> None:
    """Tell what is in the shards of all streams or of NAME, and how far behind triggers are."""
    database = Database.reader(os.path.join(project.data_dir(data), db.FILE_NAME))
    try:
        store = StreamStore(database)
        found = [_shard(store, row) for row in store.shards() if name in (None, row.stream)]
    finally:
        database.close()
    if as_json:
        output.show_json({"shards": found})
    elif found:
        rows = [row for shard in found for row in _rows(shard)]
        output.show_table(_COLUMNS, rows, right=_NUMBERS)
    else:
        click.echo("There is no such stream." if name else "There are no streams.", err=True)


@command.command("tail")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@project.reaching
def tail(
    name: str, follow: bool, endpoint_url: str | None, key_file: str | None, ca_file: str | None
) -> None:
    """Print the records of the stream NAME, each on a line; with `-f` those that are to come."""
    client = project.reach(endpoint_url, key_file, ca_file)
    iterators = _iterators(client, name, "LATEST" if follow else "TRIM_HORIZON")
    while iterators:
        for shard, iterator in list(iterators.items()):
            page = client.call("Kinesis_20131202.GetRecords", ShardIterator=iterator)
            for record in page["Records"]:
                sys.stdout.buffer.write(base64.b64decode(record["Data"]) + b"\n")
            iterators[shard] = page["NextShardIterator"]
            if not page["Records"] and not follow:
                del iterators[shard]
        sys.stdout.buffer.flush()
        if follow:
            time.sleep(FOLLOW_S)


def _iterators(client: Client, name: str, kind: str) -> dict[str, str]:
    """One for each shard."""
    listed = client.call("Kinesis_20131202.ListShards", StreamName=name)
    made = {}
    for shard in [each["ShardId"] for each in listed["Shards"]]:
        answer = client.call(
            "Kinesis_20131202.GetShardIterator",
            StreamName=name,
            ShardId=shard,
            ShardIteratorType=kind,
        )
        made[shard] = answer["ShardIterator"]
    return made


def _lines() -> Iterator[bytes]:
    for line in sys.stdin.buffer:
        yield line.removesuffix(b"\n")


def _portions(lines: Any, key: str | None) -> Iterator[list[dict[str, str]]]:
    """Records, as many as one call may have."""
    portion: list[dict[str, str]] = []
    size = 0
    for line in lines:
        if portion and (len(portion) == PUT_RECORDS or size + len(line) > PUT_BYTES):
            yield portion
            portion, size = [], 0
        name = key if key is not None else str(uuid.uuid4())
        portion.append({"Data": base64.b64encode(line).decode(), "PartitionKey": name})
        size += len(line)
    if portion:
        yield portion


def _shard(store: StreamStore, row: ShardRow) -> dict[str, Any]:
    oldest = store.moment(row.id, row.trimmed)
    return {
        "stream": row.stream,
        "shard": row.place,
        "records": row.records,
        "bytes": row.bytes,
        "oldest_at": log.stamp(oldest[1] / 1000) if oldest else None,
        "readers": [
            {"function": consumer.partition("/")[0], "records_behind": row.last - sequence}
            for consumer, sequence in store.readers(row.id)
        ],
    }


def _rows(shard: dict[str, Any]) -> Iterator[list[str]]:
    head = [
        shard["stream"],
        str(shard["shard"]),
        str(shard["records"]),
        f"{shard['bytes'] / 1024:.0f} KiB",
        shard["oldest_at"] or "-",
    ]
    for reader in shard["readers"] or [{"function": "-", "records_behind": "-"}]:
        yield [*head, reader["function"], str(reader["records_behind"])]
