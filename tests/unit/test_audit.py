"""The audit log, written by several processes and seen by its owner alone."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from microfaas import audit
from microfaas.audit import FILES_KEPT, VALUE_CHARS_MAX, Audit


def records(directory: Path) -> list[dict[str, object]]:
    files = sorted(directory.glob("audit.log*"), reverse=True)
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_record_says_who_did_what_to_what(tmp_path: Path) -> None:
    Audit(str(tmp_path)).record("keys revoke", "MFK1", who="user:ada", name=None, more=3)
    (entry,) = records(tmp_path)
    assert str(entry.pop("at")).endswith("Z")
    assert entry == {
        "who": "user:ada",
        "action": "keys revoke",
        "on": "MFK1",
        "result": "ok",
        "more": 3,
    }
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_what_is_long_or_has_lines_stays_one_short_line(tmp_path: Path) -> None:
    log = Audit(str(tmp_path))
    log.record("refuse", "x" * 10_000, who="a\nb\udcff", peer="::1")
    (entry,) = records(tmp_path)
    assert len(str(entry["on"])) == VALUE_CHARS_MAX + 1
    assert entry["who"] == "a\nb\udcff"


def test_processes_share_it_and_rotation_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; from microfaas import audit; audit.FILE_BYTES_MAX = 8000\n"
        "log = audit.Audit(sys.argv[1])\n"
        "for number in range(60): log.record('count', str(number), who=sys.argv[2])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(who)]) for who in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = records(tmp_path)
    for who in range(3):
        assert sorted(int(str(r["on"])) for r in found if r["who"] == str(who)) == [*range(60)]
    assert 1 < len(list(tmp_path.glob("audit.log*"))) <= FILES_KEPT + 1


def test_a_log_that_cannot_be_written_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Audit(str(tmp_path / "gone")).record("start", "x", who="system")
    assert "cannot record start of x" in caplog.text


def test_a_user_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "ada")
    assert audit.user() == "user:root (sudo by ada)"
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert audit.user() == "user:4000000"
