"""A damaged database, from outside: told of, set aside, and what can be read goes on."""

from __future__ import annotations

import sqlite3

from tests.e2e.project import Project, until
from tests.faults.books import ended

PAGE = 4096
HANDLER = """
import time

def handler(event, context):
    time.sleep(event.get("sleep_s", 0))
    return event
"""


def test_a_damaged_database_is_set_aside_and_its_events_run(project: Project) -> None:
    project.write("app.py", HANDLER)
    project.write("microfaas.toml", '[functions.f]\nhandler = "app.handler"\ntimeout_s = 60\n')
    project.start()
    client = project.lambda_client()
    # The ten instances are busy, so that everything else waits.
    for _ in range(10):
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"sleep_s": 8}')
    waiting = [
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": %d}' % number)[
            "ResponseMetadata"
        ]["HTTPHeaders"]["x-amzn-requestid"]
        for number in range(300)
    ]
    project.kill()
    path = project.data / "microfaas.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # The leaf that holds the usage history's index is nobody's event.
    [[page]] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'usage_days'")
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)
    project.start()
    output = project.output.read_text()
    assert "is damaged; it is kept as" in output
    assert "something is missing of: usage_days" in output
    assert list(project.data.glob("microfaas.db.damaged-*"))
    until(lambda: set(waiting) <= ended(project).keys(), "the events of the damaged file")
