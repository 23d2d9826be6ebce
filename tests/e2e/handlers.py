"""One Lambda handler per thing to be seen; copied into test projects as app.py."""

import json
import logging
import os
import subprocess
import sys
import time

CALLS = 0


def echo(event, context):
    return event


def count(event, context):
    global CALLS
    CALLS += 1
    return {"calls": CALLS, "pid": os.getpid()}


def where(event, context):
    return {
        "cwd": os.getcwd(),
        "file": __file__,
        "tmp": sorted(os.listdir("/tmp")),
        "environment": dict(os.environ),
        "path": sys.path,
    }


def fields(event, context):
    client = context.client_context
    return {
        "request_id": context.aws_request_id,
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": context.log_stream_name,
        "remaining": context.get_remaining_time_in_millis(),
        "client": client and {"custom": client.custom, "title": client.client.app_title},
    }


def write(event, context):
    """Try to write to a path; what came of it."""
    try:
        with open(event["path"], "w") as file:
            file.write("x")
    except OSError as error:
        return type(error).__name__
    return "written"


def boom(event, context):
    raise ValueError("it went wrong: \u00e4")


def leave(event, context):
    sys.exit(event.get("status", 3))


def crash(event, context):
    os.kill(os.getpid(), 11)


def unserialisable(event, context):
    return {"a": object()}


def large(event, context):
    return "x" * event["bytes"]


def hungry(event, context):
    return len(bytearray(event["mb"] * 1024 * 1024))


def sleep(event, context):
    time.sleep(event["s"])
    return "slept"


def spin(event, context):
    while True:
        pass


def daemon(event, context):
    """Start a process that detaches itself twice, then run past the deadline."""
    script = "import os,time,sys\nif os.fork(): sys.exit()\nos.setsid()\nif os.fork(): sys.exit()\n"
    script += f"open('/mnt/OUT/daemon','w').write(str(os.getpid()))\nwhile 1: time.sleep({7.5})"
    subprocess.run([sys.executable, "-S", "-c", script], check=True)
    while not os.path.exists("/mnt/OUT/daemon"):
        time.sleep(0.01)
    time.sleep(60)


def forks(event, context):
    """Start processes until the limit stops it; how many there were."""
    children = []
    try:
        while len(children) < 1000:
            children.append(subprocess.Popen(["/bin/sleep", "60"]))
    except OSError:
        return len(children)
    finally:
        for child in children:
            child.kill()
    return len(children)


def files(event, context):
    opened = []
    try:
        while len(opened) < 100_000:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return len(opened)
    return len(opened)


def talk(event, context):
    print("printed line")
    print("to stderr", file=sys.stderr)
    logging.getLogger().warning("logged line")
    print("unfinished", end="")
    return json.dumps(event)
