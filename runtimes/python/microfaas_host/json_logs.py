"""Log records as JSON, a line each, in the form of Lambda's own runtime."""

import json
import logging
import sys
import time
import traceback

DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# What a record has of itself; anything else is the function's, given as `extra`.
_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_KEPT_OUT = _OWN | {"aws_request_id", "message", "asctime", "taskName"}
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Formatter(logging.Formatter):
    """Writes whole objects; what JSON has no form for is written as text."""

    converter = time.gmtime

    def format(self, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        plain = isinstance(record.msg, dict) and not record.args
        fields = {
            "timestamp": self.formatTime(record, DATE_FORMAT),
            "level": logging.getLevelName(level),
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            fields["stackTrace"] = traceback.format_tb(trace)
            fields["errorType"] = kind.__name__
            fields["errorMessage"] = str(error)
        fields["requestId"] = record.aws_request_id or None
        if record.exc_info:
            fields["location"] = "{}:{}:{}".format(record.pathname, record.funcName, record.lineno)
        for name, value in vars(record).items():
            if name not in _KEPT_OUT:
                fields.setdefault(name, value)
        return _encode({name: value for name, value in fields.items() if value is not None})


def failure(kind, message, request_id, stack):
    """A failure as an object."""
    fields = {
        "timestamp": time.strftime(DATE_FORMAT, time.gmtime()),
        "level": "ERROR",
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": stack,
    }
    return json.dumps(fields, ensure_ascii=sys.version_info < (3, 12))
