"""What `print` and `logging` do in a function, as in Lambda."""

import io
import logging
import os
import sys
import time

FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

_now = {"request_id": ""}


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
    formatter = logging.Formatter(FORMAT, DATE_FORMAT)
    formatter.converter = time.gmtime
    handler = _Handler()
    handler.setFormatter(formatter)
    handler.addFilter(_RequestId())
    logging.getLogger().addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level:
        logging.getLogger().setLevel(level)


def begin(request_id):
    """The request whose id log records carry from now on."""
    _now["request_id"] = request_id


def flush():
    """Everything printed is in the pipe before the reply is: so the log is whole."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # a function may have closed or replaced them
