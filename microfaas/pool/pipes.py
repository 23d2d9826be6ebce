"""The three pipes of a host: requests in, replies out, and what it prints."""

from __future__ import annotations

import os


class Pipes:
    """Both ends of each, close-on-exec; ours are kept, theirs are given away and closed."""

    def __init__(self, user: int | None = None) -> None:
        """`user` is who is to be able to open the log again, as /dev/stdout."""
        self.requests_read, self.requests_write = os.pipe2(os.O_CLOEXEC)
        self.replies_read, self.replies_write = os.pipe2(os.O_CLOEXEC)
        self.log_read, self.log_write = os.pipe2(os.O_CLOEXEC)
        if user is not None:
            os.fchown(self.log_write, user, user)

    def close_theirs(self) -> None:
        for fd in (self.requests_read, self.replies_write, self.log_write):
            os.close(fd)

    def close_ours(self) -> None:
        for fd in (self.requests_write, self.replies_read, self.log_read):
            os.close(fd)
