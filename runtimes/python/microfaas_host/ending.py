"""How a host's process ends: with the status that the function asked for."""

import os
import sys


def run(body, flush):
    """Do `body` and end with the status it gives. Returns in no process."""
    status = 1
    try:
        status = body()
    except SystemExit as exit_:
        status = _exit_status(exit_)
    except BaseException:
        # sys.excepthook is the user's to replace; print what Python itself would.
        sys.__excepthook__(*sys.exc_info())
    finally:
        flush()
        os._exit(status)


def _exit_status(exit_):
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1
