"""What `print` and `logging` do in a function, as in Lambda."""

import contextlib
import io
import logging
import os
import sys
import time

FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

# Of Lambda's levels those that `logging` has under another name.
_LEVELS = {"TRACE": "DEBUG"}

_now = {"request_id": ""}
# What writes JSON, where the function asks for that.
_json = {"logs": None}


class _RequestId(logging.Filter):
    def filter(self, record):
        record.aws_request_id = _now["request_id"]
        return True


class _Handler(logging.StreamHandler):
    """Writes to whatever sys.stdout is at the time."""

    def __init__(self):
        super().__init__(sys.stdout)

    def emit(self, record):
        self.stream = sys.stdout
        super().emit(record)


def setup():
    """Line-buffered text streams, and a root handler with request ids."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(fd, "w", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw), "utf-8", errors="backslashreplace", line_buffering=True
        )
        setattr(sys, name, stream)
        setattr(sys, "__{}__".format(name), stream)
    handler = _Handler()
    handler.setFormatter(_formatter())
    handler.addFilter(_RequestId())
    logging.getLogger().addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = _LEVELS.get(level, level)
    if isinstance(logging.getLevelName(level), int):
        logging.getLogger().setLevel(level)


def _formatter():
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        from microfaas_host import json_logs  # few functions need it

        _json["logs"] = json_logs
        return json_logs.Formatter()
    formatter = logging.Formatter(FORMAT, DATE_FORMAT)
    formatter.converter = time.gmtime
    return formatter


def begin(request_id):
    """The request whose id log records carry from now on."""
    _now["request_id"] = request_id


def failure(kind, message, request_id, stack):
    """Print a failure as Lambda's runtime does; the indents are no-break spaces there."""
    if _json["logs"] is not None:
        lines = [_json["logs"].failure(kind, message, request_id, stack)]
    else:
        lines = ["[ERROR] {}: {}".format(kind, message)]
        if stack:
            lines.append("Traceback (most recent call last):")
            lines.extend(line.rstrip("\n").replace("  ", "\u00a0\u00a0") for line in stack)
    with contextlib.suppress(OSError, ValueError):  # a function may have closed its stdout
        print("\n".join(lines), flush=True)


def flush():
    """Everything printed is in the pipe before the reply is: so the log is whole."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # a function may have closed or replaced them
