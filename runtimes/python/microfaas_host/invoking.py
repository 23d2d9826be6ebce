"""The loop of an instance: an invocation in, its result or error out."""

import decimal
import json
import sys

from microfaas_host import errors, frames, logs, trace
from microfaas_host.context import Context

WARM_UP_ROUNDS = 64
# Lambda's Python runtimes write non-ASCII characters as they are from 3.12 on.
_ASCII = sys.version_info < (3, 12)


def serve(handler):
    """Answer invocations until told to stop, or until the supervisor is gone."""
    while True:
        message = frames.read()
        if message is None or message["kind"] == "stop":
            logs.flush()
            return
        reply = _answer(handler, message)
        logs.flush()
        frames.write(reply)


def warm_up():
    """Run the path of an invocation until the interpreter has specialised its code.

    Done in the zygote: what it writes to memory then is shared by all forks, instead of being
    written again by each.
    """
    request = {"id": "", "event": b'{"a": [1, "b"]}', "arn": "", "deadline_ms": 0}
    for _ in range(WARM_UP_ROUNDS):
        reply = _answer(_echo, request)
        frames.unpack(frames.pack(reply))
    logs.begin("")


def _echo(event, context):
    context.get_remaining_time_in_millis()
    return event


def _answer(handler, request):
    request_id = request["id"]
    logs.begin(request_id)
    trace_id = request.get("trace_id")
    if trace_id:
        trace.tell(trace_id)
    try:
        event = json.loads(request["event"])
    except ValueError as error:
        return _failed(request_id, "Runtime.UnmarshalError", _unable("unmarshal input", error), [])
    try:
        result = handler(event, Context(request))
    except Exception as error:
        return _failed(
            request_id, type(error).__name__, errors.text_of(error), errors.stack_of(error)
        )
    try:
        payload = _encode(result)
    except Exception as error:
        return _failed(request_id, "Runtime.MarshalError", _unable("marshal response", error), [])
    return {"kind": "result", "id": request_id, "payload": payload}


def _encode(result):
    if type(result) is bytes:
        return result
    text = json.dumps(result, ensure_ascii=_ASCII, default=_plain)
    return text.encode()


def _plain(value):
    """Lambda's runtime writes Decimal as a number; the rest is for the caller to see."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError("Object of type {} is not JSON serializable".format(type(value).__name__))


def _unable(what, error):
    return "Unable to {}: {}".format(what, errors.text_of(error))


def _failed(request_id, kind, message, stack):
    logs.failure(kind, message, request_id, stack)
    payload = errors.payload(kind, message, request_id, stack)
    return {"kind": "error", "id": request_id, "type": kind, "payload": payload}
