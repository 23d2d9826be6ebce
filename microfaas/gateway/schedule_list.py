"""The control API's list of schedules: what they are, and their last and next times."""

from __future__ import annotations

from datetime import UTC, datetime

from microfaas.gateway.reply import Reply, as_json
from microfaas.messaging.schedules import Followed, Schedules
from microfaas.timetable import next_time


class ScheduleList:
    """Reads, and makes replies of what it finds."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    def reply(self, request_id: str) -> Reply:
        """Each schedule that is enabled; disabled ones have no times."""
        rows = [self._row(followed) for followed in self._schedules.all()]
        return as_json({"schedules": rows}, request_id)

    def _row(self, followed: Followed) -> dict[str, object]:
        plan = followed.plan
        return {
            "name": plan.name,
            "origin": plan.key.partition(":")[0],
            "target": plan.target,
            "expression": plan.expression,
            "timezone": plan.timezone,
            "jitter_s": plan.jitter_s,
            "overlap": plan.overlap,
            "misfire": plan.misfire,
            "waiting": len(followed.waiting),
            "last": _moment(_last_tick(followed)),
            "next": _moment(self._schedules.next_tick(followed)),
        }


def _last_tick(followed: Followed) -> int | None:
    """The latest tick that was dealt with; a new schedule has none."""
    plan, state = followed.plan, followed.state
    tick = next_time(plan.schedule, state.last_ms - 1, plan.zone, state.anchor_ms)
    begun = state.last_ms > state.anchor_ms or bool(state.message)
    return state.last_ms if tick == state.last_ms and begun else None


def _moment(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
