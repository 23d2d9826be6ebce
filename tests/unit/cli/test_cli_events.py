"""The commands about events: invocations, result, cancel, dead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_world import NOBODY, REQUEST_ID, Served, run

ROW = {
    "request_id": REQUEST_ID,
    "function": "f",
    "qualifier": "",
    "source": "",
    "status": "ok",
    "accepted_at": "2026-11-24T10:00:00.000Z",
    "finished_at": "2026-11-24T10:00:01.000Z",
    "attempts": 1,
    "next_attempt_at": None,
}
WHOLE = {**ROW, "history": [], "payload": '{"a": 1}', "truncated": False}
PENDING = {**WHOLE, "status": "waiting", "finished_at": None, "payload": None, "attempts": 2}
LETTER = {
    "id": 17,
    "request_id": REQUEST_ID,
    "function": "f",
    "source": "f:in/a",
    "queue": "function:f",
    "error": "KeyError",
    "payload": "{}",
    "attempts": 3,
    "died_at": "2026-11-24T10:00:00.000Z",
    "event": '{"n":1}',
}


def answer(served: Served, place: str, value: object, status: int = 200, kind: str = "") -> None:
    headers = {"x-amzn-ErrorType": kind} if kind else {}
    served.answers[place] = (status, headers, json.dumps(value).encode())


class TestInvocations:
    def test_lists_them(self, served: Served) -> None:
        answer(served, "v1", {"invocations": [ROW]})
        result = run("invocations", "f", "--status", "ok", "-n", "5")
        assert result.exit_code == 0
        head, line = result.stdout.splitlines()
        assert head.split()[:3] == ["REQUEST", "FUNCTION", "STATUS"]
        assert line.split() == [REQUEST_ID, "f", "ok", ROW["accepted_at"], "1", "-", "-"]
        assert served.path.endswith("/invocations?function=f&status=ok&limit=5")
        assert json.loads(run("invocations", "--json").stdout) == {"invocations": [ROW]}

    def test_says_when_there_are_none(self, served: Served) -> None:
        answer(served, "v1", {"invocations": []})
        result = run("invocations")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "no such events" in result.stderr

    @pytest.mark.parametrize("wrong", [("--status", "done"), ("-n", "0"), ("-n", "1001")])
    def test_wrong_usage(self, wrong: tuple[str, ...]) -> None:
        assert run("invocations", *wrong).exit_code == 2


class TestResult:
    def test_prints_the_result_as_it_was_returned(self, served: Served) -> None:
        answer(served, "invocations", WHOLE)
        result = run("result", REQUEST_ID)
        assert (result.exit_code, result.stdout, result.stderr) == (0, '{"a": 1}\n', "")
        assert json.loads(run("result", REQUEST_ID, "--json").stdout)["payload"] == {"a": 1}

    def test_a_failed_function_is_code_1(self, served: Served) -> None:
        answer(served, "invocations", {**WHOLE, "status": "error", "attempts": 3})
        result = run("result", REQUEST_ID)
        assert (result.exit_code, result.stdout) == (1, '{"a": 1}\n')
        assert "ended as error, attempts: 3" in result.stderr

    def test_one_that_has_not_ended_is_code_111(self, served: Served) -> None:
        answer(served, "invocations", {**PENDING, "next_attempt_at": "soon"})
        result = run("result", REQUEST_ID)
        assert (result.exit_code, result.stdout) == (111, "")
        assert "is waiting, attempts so far: 2, the next one at soon" in result.stderr

    def test_waits_for_the_end(self, served: Served) -> None:
        answers = [PENDING, PENDING, WHOLE]
        asked: list[str] = []

        def next_one(path: str) -> tuple[int, dict[str, str], bytes]:
            asked.append(path)
            return 200, {}, json.dumps(answers.pop(0)).encode()

        served.answer = next_one
        assert run("result", REQUEST_ID, "--wait").stdout == '{"a": 1}\n'
        assert [path.partition("wait_s=")[2] for path in asked] == ["0.0", "60.0", "60.0"]

    def test_an_unknown_one_is_permanent(self, served: Served) -> None:
        assert run("result", REQUEST_ID).exit_code == 100


class TestCancel:
    def test_says_so(self, served: Served) -> None:
        answer(served, "invocations", {**WHOLE, "status": "cancelled"})
        result = run("cancel", REQUEST_ID)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"request {REQUEST_ID} is cancelled\n"
        assert served.command == "DELETE"
        assert json.loads(run("cancel", REQUEST_ID, "--json").stdout)["status"] == "cancelled"

    def test_one_that_has_ended_is_permanent(self, served: Served) -> None:
        fault = {"message": "it has ended as ok"}
        answer(served, "invocations", fault, 409, "ResourceConflictException")
        result = run("cancel", REQUEST_ID)
        assert result.exit_code == 100
        assert "it has ended as ok" in result.stderr


class TestDead:
    def test_lists_them(self, served: Served) -> None:
        answer(served, "v1", {"dead_letters": [LETTER]})
        result = run("dead", "list", "--function", "f", "--error", "KeyError", "--older-than", "1h")
        assert result.stdout.splitlines()[1].split()[:4] == ["17", "f", "KeyError", "3"]
        wanted = "/dead?function=f&error=KeyError&older_than_s=3600&limit=20"
        assert served.path.endswith(wanted)
        assert json.loads(run("dead", "list", "--json").stdout) == {"dead_letters": [LETTER]}
        answer(served, "v1", {"dead_letters": []})
        assert "no such dead letters" in run("dead", "list").stderr

    def test_shows_one(self, served: Served) -> None:
        answer(served, "dead", LETTER)
        result = run("dead", "show", "17")
        assert result.stdout == '{"n":1}\n'
        assert "error: KeyError" in result.stderr
        assert json.loads(run("dead", "show", "17", "--json").stdout) == LETTER

    @pytest.mark.parametrize("verb", ["redrive", "purge"])
    @pytest.mark.parametrize(
        ("arguments", "sent"),
        [
            (("17", "r"), {"ids": ["17", "r"]}),
            (("--all",), {"all": True}),
            (("--function", "f", "--older-than", "2d"), {"function": "f", "older_than_s": 172800}),
            (("--error", "E"), {"error": "E"}),
        ],
    )
    def test_does_it_to_those_chosen(
        self, served: Served, verb: str, arguments: tuple[str, ...], sent: dict[str, Any]
    ) -> None:
        word = {"redrive": "redriven", "purge": "purged"}[verb]
        answer(served, "dead", {word: 2, "left": 0, "why": ""})
        result = run("dead", verb, *arguments)
        assert (result.exit_code, result.stderr) == (0, f"{word}: 2\n")
        assert json.loads(served.payload) == sent

    def test_what_was_left_is_told(self, served: Served) -> None:
        answer(served, "dead", {"redriven": 2, "left": 3, "why": "the queue is full"})
        result = run("dead", "redrive", "--all", "--json")
        assert result.exit_code == 111
        assert "left as they were: 3; the queue is full" in result.stderr
        assert json.loads(result.stdout)["redriven"] == 2

    @pytest.mark.parametrize("verb", ["redrive", "purge"])
    @pytest.mark.parametrize("wrong", [(), ("17", "--all"), ("--all", "--error", "E")])
    def test_a_choice_is_needed_and_one_alone(self, verb: str, wrong: tuple[str, ...]) -> None:
        result = run("dead", verb, *wrong)
        assert result.exit_code == 2
        assert "Say which" in result.stderr

    def test_nobody_there_is_temporary(self) -> None:
        for words in (("dead", "list"), ("invocations",), ("result", "x"), ("cancel", "x")):
            assert run(*words, "--endpoint-url", NOBODY).exit_code == 111
