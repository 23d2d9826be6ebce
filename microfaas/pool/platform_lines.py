"""The platform's own lines in a function's log, in Lambda's two formats. Pure.

A form gives one or more lines without the last one's end, and an empty text for what the function's
level leaves out.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from microfaas.log import stamp
from microfaas.model import MIB, LogSettings, Status, Usage

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Statuses of an invocation that ended otherwise are errors, whoever's they are.
_JSON_STATUS = {Status.OK: "success", Status.TIMEOUT: "timeout"}


class Runtime(NamedTuple):
    """What starts, and as which version of which function."""

    name: str
    version: str
    function: str
    number: str
    provisioned: bool


class Ending(NamedTuple):
    """How an invocation ended; `error_type` is set when the platform ended it."""

    status: Status = Status.OK
    error_type: str = ""


class Form(Protocol):
    """Makes the lines of one format."""

    def init_start(self, now_s: float, runtime: Runtime) -> str: ...

    def start(self, now_s: float, request_id: str, version: str) -> str: ...

    def end(
        self, now_s: float, request_id: str, usage: Usage, memory_mb: int, ending: Ending
    ) -> str: ...

    def dropping(self, bytes_max: int) -> str:
        """From here on what is printed is not kept."""

    def dropped(self, now_s: float, count: int) -> str:
        """So many bytes were not."""


class Text:
    """START, END and REPORT, as everybody knows them."""

    def init_start(self, now_s: float, runtime: Runtime) -> str:
        return f"INIT_START Runtime Version: {runtime.name}:{runtime.version}"

    def start(self, now_s: float, request_id: str, version: str) -> str:
        return f"START RequestId: {request_id} Version: {version}"

    def end(
        self, now_s: float, request_id: str, usage: Usage, memory_mb: int, ending: Ending
    ) -> str:
        init = "" if usage.init_ms is None else f"Init Duration: {usage.init_ms:.2f} ms\t"
        suffix = _suffix(ending) if ending.error_type else ""
        return (
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {usage.wall_ms:.2f} ms\t"
            f"Billed Duration: {usage.billed_ms} ms\tMemory Size: {memory_mb} MB\t"
            f"Max Memory Used: {usage.memory_mb} MB\t{init}{suffix}"
        )

    def dropping(self, bytes_max: int) -> str:
        return f"[microfaas: {bytes_max // MIB} MB are printed, the rest is dropped]"

    def dropped(self, now_s: float, count: int) -> str:
        return f"[microfaas: {count} bytes were dropped]"


class Json:
    """Records of Lambda's telemetry schema, from a level on."""

    def __init__(self, level: str) -> None:
        self._least = LEVELS.index(level)

    def init_start(self, now_s: float, runtime: Runtime) -> str:
        kind = "provisioned-concurrency" if runtime.provisioned else "on-demand"
        record = {
            "initializationType": kind,
            "phase": "init",
            "runtimeVersion": f"{runtime.name}:{runtime.version}",
            "functionName": runtime.function,
            "functionVersion": runtime.number,
        }
        return self._line("INFO", now_s, "initStart", record)

    def start(self, now_s: float, request_id: str, version: str) -> str:
        return self._line("INFO", now_s, "start", {"requestId": request_id, "version": version})

    def end(
        self, now_s: float, request_id: str, usage: Usage, memory_mb: int, ending: Ending
    ) -> str:
        ok = ending.status is Status.OK
        told = {"status": _JSON_STATUS.get(ending.status, "error")}
        if ending.error_type:
            told["errorType"] = ending.error_type
        duration_ms = round(usage.wall_ms, 3)
        metrics = {
            "durationMs": duration_ms,
            "billedDurationMs": usage.billed_ms,
            "memorySizeMB": memory_mb,
            "maxMemoryUsedMB": usage.memory_mb,
        }
        if usage.init_ms is not None:
            metrics["initDurationMs"] = round(usage.init_ms, 3)
        done = {"requestId": request_id, **told, "metrics": {"durationMs": duration_ms}}
        report = {"requestId": request_id, "metrics": metrics, **told}
        lines = (
            self._line("DEBUG" if ok else "WARN", now_s, "runtimeDone", done),
            self._line("INFO" if ok else "WARN", now_s, "report", report),
        )
        return "\n".join(filter(None, lines))

    def dropping(self, bytes_max: int) -> str:
        return ""  # `dropped` says it, and how much it was

    def dropped(self, now_s: float, count: int) -> str:
        reason = "The function printed more than output_mb_max lets it"
        return self._line("WARN", now_s, "logsDropped", {"reason": reason, "droppedBytes": count})

    def _line(self, level: str, now_s: float, kind: str, record: object) -> str:
        if LEVELS.index(level) < self._least:
            return ""
        line = {"time": stamp(now_s), "type": f"platform.{kind}", "record": record}
        return msgspec.json.encode(line).decode()


TEXT = Text()


def form_of(logs: LogSettings) -> Form:
    """The form that a function asks for."""
    return Json(logs.system_level or "INFO") if logs.format == "JSON" else TEXT


def _suffix(ending: Ending) -> str:
    """What Lambda appends to REPORT when the platform ended the invocation."""
    if ending.status is Status.TIMEOUT:
        return "Status: timeout"
    return f"Status: error\tError Type: {ending.error_type}"
