"""The Ruby host over bare pipes, as a zygote or as a spare."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import conversation
from conversation import Conversation, launch
from host_world import Host, arguments
from spare_world import Spare, Spares

from microfaas.wire.frames import Message

HANDLER = "lambda_function.lambda_handler"
ECHO = "def lambda_handler(event:, context:) = event"


def returning(expression: str) -> str:
    """The code of a function that returns this."""
    return f"def lambda_handler(event:, context:) = ({expression})"


def error_of(message: Message) -> dict[str, Any]:
    """The error object of an error, with all that Lambda's Ruby has in it."""
    fields = conversation.error_of(message)
    assert list(fields) == ["errorMessage", "errorType", "stackTrace"]
    return fields


class RubyHost(Host):
    """A zygote of Ruby that was started with the code in a folder."""

    def _start(self, given: list[int]) -> subprocess.Popen[bytes]:
        ruby = shutil.which("ruby")
        assert ruby, "ruby is not on PATH"
        argv = [ruby, *arguments(self.runtime)]
        return launch(argv, given, self.talk.log, self.environment, self.folder / "code")


class World:
    """Starts Ruby hosts, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zygotes: list[RubyHost] = []
        self._spares = Spares(folder, "ruby")

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self._spares.__exit__()
        for host in self._zygotes:
            host.close()

    def start(
        self,
        code: str = ECHO,
        handler: str = HANDLER,
        files: Mapping[str, str] | None = None,
        **environment: str,
    ) -> RubyHost:
        """A zygote that has not spoken yet, with the code in lambda_function.rb."""
        folder = self._folder / f"zygote-{len(self._zygotes)}"
        for name, text in {"lambda_function.rb": code, **(files or {})}.items():
            path = folder / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        self._zygotes.append(RubyHost(folder, handler, "ruby", environment))
        return self._zygotes[-1]

    def loaded(self, code: str = ECHO, snapshot: str = "auto", **options: Any) -> RubyHost:
        """One that has loaded its code."""
        host = self.start(code, **options)
        answer = host.load(snapshot)
        assert answer["kind"] == "loaded", answer
        return host

    def instance(self, code: str = ECHO, **options: Any) -> Conversation:
        """An instance of a zygote that has loaded the code."""
        return self.loaded(code, **options).instance()

    def spare(self, code: str = ECHO, files: Mapping[str, str] | None = None) -> Spare:
        """One that is ready, and has the code since."""
        return self._spares.start({"lambda_function.rb": code, **(files or {})})
