"""Failures in Lambda's shape: errorMessage, errorType, requestId, stackTrace."""

import contextlib
import json
import sys
import traceback


class InitFault(Exception):
    """The function cannot be loaded; `kind` is Lambda's name for it."""

    def __init__(self, kind, message, stack=()):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.stack = list(stack)


def payload(kind, message, request_id, stack):
    """The error object as JSON bytes."""
    fields = {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": stack,
    }
    return json.dumps(fields, ensure_ascii=sys.version_info < (3, 12)).encode(errors="replace")


def stack_of(error):
    """The traceback as a list of strings, without the host's own frames."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if "microfaas_host" not in frame.filename]
    # Frames inside importlib say nothing to anybody.
    users = [frame for frame in users if not frame.filename.startswith("<frozen importlib")]
    return traceback.format_list(users)


def log(kind, message, stack):
    """Print the failure as Lambda's runtime does; the indents are no-break spaces there."""
    lines = ["[ERROR] {}: {}".format(kind, message)]
    if stack:
        lines.append("Traceback (most recent call last):")
        lines.extend(line.rstrip("\n").replace("  ", "\u00a0\u00a0") for line in stack)
    with contextlib.suppress(OSError, ValueError):  # a function may have closed its stdout
        print("\n".join(lines), flush=True)
