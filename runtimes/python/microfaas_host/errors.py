"""Failures in Lambda's shape: errorMessage, errorType, requestId, stackTrace."""

import importlib
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
    return traceback.format_list([frame for frame in frames if not _is_ours(frame.filename)])


def _is_ours(filename):
    """The host's own frames, and those of the import machinery, say nothing to anybody."""
    return (
        "microfaas_host" in filename
        or filename.startswith("<frozen importlib")
        or filename == importlib.__file__
    )


def text_of(error):
    """An exception's text, whatever its __str__ does."""
    try:
        return str(error)
    except Exception:
        return "<unprintable {} object>".format(type(error).__name__)
