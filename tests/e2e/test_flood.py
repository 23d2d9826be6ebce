"""A function that prints a gigabyte: the log stays short, and everybody else is served."""

from __future__ import annotations

import json
import re
import threading

from tests.e2e.project import Project, until

FLOOD_BYTES = 1_000_000_000
APP = """import os
def echo(event, context):
    return event
def flood(event, context):
    piece, left = b"\\n" * 65536, event["bytes"]
    while left > 0:
        left -= os.write(1, piece[:left])
    print("the last line")
    return "printed"
"""
CONFIG = """
[functions.echo]
handler = "app.echo"
[functions.flood]
handler = "app.flood"
timeout_s = 300
output_mb_max = 2
"""


def test_a_flood_is_cut_and_holds_up_nobody(project: Project) -> None:
    project.write("app.py", APP)
    project.write("microfaas.toml", CONFIG)
    project.start()
    project.invoke("echo")
    results: list[object] = []
    flood = threading.Thread(
        target=lambda: results.append(project.invoke("flood", {"bytes": FLOOD_BYTES}))
    )
    flood.start()
    until(lambda: "is dropped" in project.log("flood"), "the flood to be cut")
    served = 0
    while flood.is_alive():
        assert project.invoke("echo", {"number": served}) == {"number": served}
        served += 1
    flood.join()
    assert results == ["printed"]
    assert served > 0

    until(lambda: "REPORT RequestId" in project.log("flood"), "the end of the log")
    text = project.log("flood")
    assert len(text) < 2 * 1024 * 1024 + 4096
    dropped = re.search(r"\[microfaas: (\d+) bytes were dropped\]\n\S+ \S+\tEND RequestId", text)
    assert dropped
    kept = len(re.findall(r"^\S+ \w+\t$", text, re.MULTILINE))
    assert kept + int(dropped[1]) == FLOOD_BYTES + len("the last line\n")

    reply = project.lambda_client().invoke(
        FunctionName="flood", Payload=json.dumps({"bytes": 5}), LogType="Tail"
    )
    assert json.loads(reply["Payload"].read()) == "printed"
    until(lambda: "the last line" in project.log("flood"), "the next one's lines")
