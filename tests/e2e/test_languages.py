"""Languages that cannot fork, layers, wrappers, extensions and streams, as functions meet them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ordinary
from tests.e2e.project import BIN, Project, until

ROOT = os.geteuid() == 0
WHO = ["root", "user"] if ROOT else ["user"]
WRAPPER = '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n'
# Says what it sees: it runs in every version of Node.js.
LOOK = """
const fs = require("fs");
const tried = (f) => { try { return f(); } catch (error) { return error.code; } };
let calls = 0;
exports.handler = async (event) => ({
  calls: ++calls,
  pid: process.pid,
  uid: process.getuid(),
  uptime: process.uptime(),
  cwd: process.cwd(),
  code: fs.readdirSync("."),
  opt: fs.readdirSync("/opt"),
  written: tried(() => fs.writeFileSync("/var/task/new", "")),
  tmp: tried(() => fs.writeFileSync("/tmp/new", "")),
  capabilities: fs.readFileSync("/proc/self/status", "utf8").match(/CapEff:\\s*(\\S+)/)[1],
  seccomp: fs.readFileSync("/proc/self/status", "utf8").match(/Seccomp:\\s*(\\S+)/)[1],
  variable: process.env.VARIABLE,
  file: process.env.INBOX && fs.readFileSync(process.env.INBOX + "/hello", "utf8"),
});
exports.stream = awslambda.streamifyResponse(async (event, stream) => {
  for (const piece of event.pieces) {
    stream.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (event.fail) throw new Error("half way");
  stream.end();
});
"""
CONFIG = """
[functions.fresh]
runtime = "nodejs"
handler = "look.handler"
code = "js"
isolation = "request"
environment = { VARIABLE = "its own" }

[functions.stream]
runtime = "nodejs"
handler = "look.stream"
code = "js"

[functions.mounted]
runtime = "nodejs"
handler = "look.handler"
code = "js"
isolation = "request"
mounts = { INBOX = { path = "inbox" } }

[functions.network]
runtime = "nodejs"
handler = "look.handler"
code = "js"
network = "none"

[functions.layered]
runtime = "nodejs"
handler = "look.handler"
code = "js"
isolation = "request"
layers = ["lower", "upper"]

[functions.packages]
handler = "app.handler"
code = "py"
layers = ["lower", "upper"]

[functions.wrapped]
handler = "app.handler"
code = "py"
environment = { AWS_LAMBDA_EXEC_WRAPPER = "/var/task/wrap" }

[functions.wrapped-js]
runtime = "nodejs"
handler = "wrapped.handler"
code = "js"
environment = { AWS_LAMBDA_EXEC_WRAPPER = "/var/task/wrap" }

[functions.extended]
handler = "app.handler"
code = "py"
layers = ["extension"]

[functions.lonely]
runtime = "provided.al2023"
code = "custom"
network = "none"
endpoint = false
"""
PY = """
import os
try:
    import layered
except ImportError:
    layered = None
def handler(event, context):
    return [os.environ.get("WRAPPED"), layered and layered.VALUE, context.aws_request_id]
"""
EXTENSION = """#!/usr/bin/python3
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
def ask(path, body=None, **headers):
    headers = {"Lambda-Extension-" + name: value for name, value in headers.items()}
    request = urllib.request.Request(base + path, body, headers)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply), reply.headers["Lambda-Extension-Identifier"]
told, me = ask("register", json.dumps({"events": ["INVOKE"]}).encode(), Name="watch")
print("extension of", told["functionName"], flush=True)
while True:
    event, _ = ask("event/next", Identifier=me)
    print("extension sees", event["requestId"], flush=True)
"""
BOOTSTRAP = """#!/bin/sh
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
  event=$(curl -sS -D /tmp/headers "$base/invocation/next")
  id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *//Ip' /tmp/headers | tr -d '\\r')
  curl -sS -o /dev/null -d "[$event, \\"$AWS_LAMBDA_RUNTIME_API\\"]" "$base/invocation/$id/response"
done
"""


# An emulated machine takes its time.
PATIENT = r"\1\ninit_timeout_s = 120\ntimeout_s = 60"


def fill(project: Project) -> None:
    project.write("js/look.js", LOOK)
    project.write("js/wrapped.js", "exports.handler = async () => process.env.WRAPPED;")
    project.write("py/app.py", PY)
    for folder in ("js", "py"):
        project.write(f"{folder}/wrap", WRAPPER).chmod(0o755)
    project.write("inbox/hello", "from the inbox")
    project.write("lower/python/layered.py", "VALUE = 'lower'")
    project.write("lower/both", "")
    project.write("upper/python/layered.py", "VALUE = 'upper'")
    project.write("upper/upper", "")
    project.write("extension/extensions/watch", EXTENSION).chmod(0o755)
    project.write("custom/bootstrap", BOOTSTRAP).chmod(0o755)
    project.write("microfaas.toml", re.sub(r"(?m)^(\[functions.*)", PATIENT, CONFIG))


@pytest.fixture(scope="module", params=WHO)
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    # Not below pytest's own folders, which are root's alone.
    folder = Path(tempfile.mkdtemp(prefix="microfaas-languages-"))
    folder.chmod(0o755)
    (folder / "project").mkdir()
    made = Project(folder / "project")
    fill(made)
    command: list[Any] = [BIN / "microfaas"]
    if request.param == "user" and ROOT:
        command = ordinary.command(ordinary.environment(folder) / "microfaas")
        ordinary.give(made.root)
    made.start(command=command)
    yield made
    assert made.stop() == 0, made.output.read_text()
    assert "Traceback" not in made.output.read_text()
    shutil.rmtree(folder, ignore_errors=True)


def spared(project: Project, name: str) -> dict[str, Any]:
    """What a function sees in an instance that was a spare before: older than its function."""

    def called() -> dict[str, Any] | None:
        seen = project.invoke(name)
        took_s = inits(project, name)[-1] / 1000
        return seen if seen["uptime"] > took_s + 0.05 else None

    return until(called, "a spare")


def inits(project: Project, name: str) -> list[float]:
    """The durations of its initialisations, in the order of the log, milliseconds."""

    def reported() -> list[float]:
        log = project.log(name)
        return [float(part.split(" ")[0]) for part in log.split("Init Duration: ")[1:]]

    return until(reported, "a report")


def test_a_spare_becomes_an_instance_of_the_function(project: Project) -> None:
    seen = spared(project, "fresh")
    assert seen["calls"] == 1
    assert seen["cwd"] == "/var/task"
    assert sorted(seen["code"]) == ["look.js", "wrap", "wrapped.js"]
    assert seen["opt"] == []
    assert seen["variable"] == "its own"


def test_a_spare_is_confined_as_everybody(project: Project) -> None:
    seen = spared(project, "fresh")
    assert seen["written"] == "EROFS"
    assert "tmp" not in seen
    assert int(seen["capabilities"], 16) == 0
    assert seen["seccomp"] == "2"


def test_a_spare_sees_the_layers(project: Project) -> None:
    assert sorted(spared(project, "layered")["opt"]) == ["both", "python", "upper"]


def test_who_sees_more_of_the_machine_is_started_in_its_place(project: Project) -> None:
    seen = project.invoke("mounted")
    assert seen["file"] == "from the inbox"
    assert seen["written"] == "EROFS"


def test_who_has_a_network_of_its_own_is_started_in_its_place(project: Project) -> None:
    assert project.invoke("network")["calls"] == 1
    assert project.invoke("network")["calls"] == 2


def test_of_layers_the_later_lies_over_the_earlier(project: Project) -> None:
    assert project.invoke("packages")[1] == "upper"


@pytest.mark.parametrize(("name", "wanted"), [("wrapped", ["yes", None]), ("wrapped-js", "yes")])
def test_a_wrapper_starts_the_language(project: Project, name: str, wanted: Any) -> None:
    for _ in range(2):
        result = project.invoke(name)
        assert (result[:2] if isinstance(result, list) else result) == wanted


def test_an_extension_sees_the_invocations_of_any_language(project: Project) -> None:
    request_id = project.invoke("extended")[2]
    seen = f"extension sees {request_id}"
    log = until(lambda: (text := project.log("extended")) and seen in text and text, "the log")
    assert "extension of extended" in log


def test_a_custom_runtime_needs_no_network(project: Project) -> None:
    assert project.invoke("lonely", {"a": 1})[0] == {"a": 1}


def events(project: Project, name: str, event: object) -> list[dict[str, Any]]:
    client = project.lambda_client()
    reply = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event))
    assert reply["StatusCode"] == 200
    return list(reply["EventStream"])


def test_a_stream_comes_in_its_pieces(project: Project) -> None:
    came = events(project, "stream", {"pieces": ["one", "two", "three"]})
    assert [event["PayloadChunk"]["Payload"] for event in came[:-1]] == [b"one", b"two", b"three"]
    assert came[-1] == {"InvokeComplete": {}}


def test_a_stream_that_fails_says_so_at_its_end(project: Project) -> None:
    came = events(project, "stream", {"pieces": ["one"], "fail": True})
    assert came[0]["PayloadChunk"]["Payload"] == b"one"
    complete = came[-1]["InvokeComplete"]
    assert complete["ErrorCode"] == "Error"
    assert json.loads(complete["ErrorDetails"])["errorMessage"] == "half way"


def test_what_is_returned_at_once_is_one_piece(project: Project) -> None:
    came = events(project, "wrapped", {})
    assert json.loads(came[0]["PayloadChunk"]["Payload"])[0] == "yes"
    assert came[1:] == [{"InvokeComplete": {}}]


def test_a_plain_call_gets_the_whole_stream(project: Project) -> None:
    payload = json.dumps({"pieces": ["one", "two"]})
    reply = project.lambda_client().invoke(FunctionName="stream", Payload=payload)
    assert reply["Payload"].read() == b"onetwo"


def test_a_client_who_leaves_ends_the_stream(project: Project) -> None:
    event = {"pieces": ["piece"] * 500}
    reply = project.lambda_client().invoke_with_response_stream(
        FunctionName="stream", Payload=json.dumps(event)
    )
    next(iter(reply["EventStream"]))
    reply["EventStream"].close()
    until(lambda: project.functions()["stream"]["instances"] == [], "the instance's end")
    assert events(project, "stream", {"pieces": ["again"]})[-1] == {"InvokeComplete": {}}
