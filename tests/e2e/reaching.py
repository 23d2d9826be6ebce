"""Handlers of the sandbox's tests; copied into test projects as app.py.

What is refused comes back as the name of the error, for the test to compare.
"""

import errno
import http.client
import json
import os
import socket
import threading
import time
import urllib.parse

WAIT_S = 20

if "LOADED" in os.environ:
    with open(os.environ["LOADED"], "w") as _file:
        _file.write("by the module")


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)


def connect(event, context):
    """Say something to each place of `to`: what is heard, or why not."""
    return [attempt(_say, host, port) for host, port in event["to"]]


def _say(host, port):
    with socket.create_connection((host, port), WAIT_S) as one:
        one.sendall(b"hello")
        one.shutdown(socket.SHUT_WR)
        return one.makefile("rb").read().decode()


def carry(event, context):
    """Send much to an echo while hearing it; whether it came back whole."""
    sent = os.urandom(1 << 20) * event["mb"]
    with socket.create_connection((event["host"], event["port"]), WAIT_S) as one:

        def send():
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        heard = one.makefile("rb").read()
        sending.join()
    return heard == sent


def own(event, context):
    """A server and a client of the function's own, on its loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), WAIT_S),
    ):
        listener.settimeout(WAIT_S)
        listener.accept()[0].close()
    return "heard"


def call(event, context):
    """Invoke another function through the endpoint, with boto3 where there is one."""
    body = json.dumps({"from": context.function_name}).encode()
    try:
        import boto3
    except ImportError:
        return attempt(_call, event["name"], body)
    reply = boto3.client("lambda").invoke(FunctionName=event["name"], Payload=body)
    return ["boto3", json.loads(reply["Payload"].read())]


def _call(name, body):
    place = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_LAMBDA"])
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=WAIT_S)
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body)
    return ["http", json.loads(connection.getresponse().read())]


def echo(event, context):
    return event


def files(event, context):
    """Read, write and look at what is at `path`."""
    path = event["path"]
    if "write" in event:
        return attempt(_write, path, event["write"])
    status = attempt(os.stat, path)
    if isinstance(status, str):
        return status
    text = sorted(os.listdir(path)) if os.path.isdir(path) else attempt(_read, path)
    return {"mode": status.st_mode & 0o7777, "mine": status.st_uid == os.getuid(), "text": text}


def _read(path):
    with open(path) as file:
        return file.read(1000)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return "written"


def secret(event, context):
    """What it has under the name, in the environment and in the file that this may name."""
    value = os.environ.get(event["name"])
    return {"variable": value, "file": files({"path": value or "/nowhere"}, context)}


def fill(event, context):
    """Write to /tmp until it is full; how many MiB there were, and why no more."""
    written = 0
    why = ""
    with open("/tmp/large", "wb", buffering=0) as file:
        while not why and written < event["mb"] << 20:
            got = attempt(file.write, bytes(1 << 16))
            why = got if isinstance(got, str) else ""
            written += 0 if why else got
    os.unlink("/tmp/large")
    return [written >> 20, why]


def tmp(event, context):
    """What was there before this call, which leaves something. It ends when it has met others:
    so many calls are there at once."""
    found = sorted(os.listdir("/tmp"))
    if "meets" in event:
        _write(f"{os.environ['MEET']}/{context.aws_request_id}", "")
        while len(os.listdir(os.environ["MEET"])) < event["meets"]:
            time.sleep(0.01)
    _write(f"/tmp/mine-{len(found)}", "x")
    return found


def device(event, context):
    """A few bytes of it."""

    def look():
        fd = os.open(event["path"], os.O_RDWR)
        try:
            return os.read(fd, 4).hex()
        finally:
            os.close(fd)

    return attempt(look)


def spin(event, context):
    """Compute for so long: the share of a CPU that this got."""
    start, used = time.monotonic(), time.process_time()
    while time.monotonic() - start < event["s"]:
        pass
    return (time.process_time() - used) / (time.monotonic() - start)


def pid(event, context):
    return os.getpid()
