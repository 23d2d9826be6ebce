"""The conformance suite's cases in Python."""

import json
import logging
import os
import subprocess
import sys
import threading
import time

STATE = {"count": 0, "ticks": 0, "ticking": False}
_LIST_DESCRIPTORS = "for fd in 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done"


def cases(event, context):
    return CASES[event["case"]](event, context)


def echo(event, context):
    return event["value"]


def null(event, context):
    return None


def fail(event, context):
    raise ValueError(event["message"])


def exit_(event, context):
    os._exit(event["status"])


def sleep(event, context):
    time.sleep(event["seconds"])
    return event["seconds"]


def spin(event, context):
    while True:
        pass


def allocate(event, context):
    held = bytearray(event["mb"] << 20)
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    return event["mb"]


def print_(event, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger().warning("to the logger")


def remaining(event, context):
    return context.get_remaining_time_in_millis()


def context_(event, context):
    client = context.client_context
    return {
        "request_id": context.aws_request_id,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": int(context.memory_limit_in_mb),
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "client_context": client and client.custom,
        "remaining_is_positive": context.get_remaining_time_in_millis() > 0,
    }


def environment(event, context):
    return dict(os.environ)


def count(event, context):
    STATE["count"] += 1
    return STATE["count"]


def ticks(event, context):
    if not STATE["ticking"]:
        STATE["ticking"] = True
        threading.Thread(target=_tick, daemon=True).start()
    return STATE["ticks"]


def _tick():
    while True:
        time.sleep(0.01)
        STATE["ticks"] += 1


def tmp(event, context):
    before = os.path.exists("/tmp/seen")
    with open("/tmp/seen", "w") as file:
        json.dump(event["value"], file)
    with open("/tmp/seen") as file:
        return {"read": json.load(file), "before": before}


def cwd(event, context):
    return {"cwd": os.getcwd(), "listed": os.path.exists("marker.txt")}


def child(event, context):
    return subprocess.run(["/bin/echo", "from a child"]).returncode


def pid(event, context):
    inherited = subprocess.run(["/bin/sh", "-c", _LIST_DESCRIPTORS], stdout=subprocess.PIPE).stdout
    return {"pid": os.getpid(), "inherited": len(inherited.split())}


CASES = {
    "echo": echo,
    "null": null,
    "fail": fail,
    "exit": exit_,
    "sleep": sleep,
    "spin": spin,
    "allocate": allocate,
    "print": print_,
    "remaining": remaining,
    "context": context_,
    "environment": environment,
    "count": count,
    "ticks": ticks,
    "tmp": tmp,
    "cwd": cwd,
    "child": child,
    "pid": pid,
}
