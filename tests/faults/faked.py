"""The `microfaas` command below libfaketime, which refuses the sleeps of Python 3.11 and newer.

`time.sleep` sleeps until a moment of the monotonic clock, and libfaketime makes an invalid one of
it. So the command waits as older versions did.
"""

from __future__ import annotations

import select
import sys
import time

from microfaas.cli import main


def sleep(duration_s: float) -> None:
    select.select([], [], [], duration_s)


if __name__ == "__main__":
    time.sleep = sleep
    sys.exit(main())
