"""The trace id in the environment, another one with each invocation.

setenv(3) keeps every value for good, which with each call's own comes to a leak. Here the variable
stays in one place, given to the C library once by putenv(3), and is written over.
"""

import ctypes
import os

NAME = "_X_AMZN_TRACE_ID"
_HEAD = NAME.encode() + b"="
_BYTES_MAX = 512

_putenv = ctypes.CDLL(None).putenv
_putenv.argtypes = [ctypes.c_void_p]
_place = ctypes.create_string_buffer(_HEAD, _BYTES_MAX)
_told = [None]


def tell(trace_id):
    """Set the variable, for the function and for what it starts."""
    value = os.fsencode(trace_id)
    if len(_HEAD) + len(value) >= _BYTES_MAX:
        os.environ[NAME] = trace_id
        _told[0] = None
        return
    known = os.environ._data
    key = _HEAD[:-1]
    # Somebody else may have set it or taken it away: then it is elsewhere, or nowhere.
    elsewhere = known.get(key) is not _told[0] or _told[0] is None
    ctypes.memmove(ctypes.addressof(_place) + len(_HEAD), value + b"\0", len(value) + 1)
    if elsewhere:
        _putenv(ctypes.addressof(_place))
    known[key] = _told[0] = value
