"""What a wheel has of the runtimes: manifests and hosts, compiled where this machine can.

A hook of hatchling's, so nothing of microfaas can be imported here. A host that is not carried
compiled is built when it is first needed.
"""

from __future__ import annotations

import glob
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "microfaas/_runtimes"
BUILT = "built"
# Tests, and what the tests or the interpreters leave behind.
LEFT_OUT = frozenset(["conformance", "__pycache__", BUILT, "bin", "obj"])


class Carry(BuildHookInterface):
    """Adds the runtimes to a wheel; an editable install finds them in the checkout."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root, "runtimes")
        included = build_data["force_include"]
        included[str(root / "PROTOCOL.md")] = f"{TARGET}/PROTOCOL.md"
        for manifest in sorted(root.glob("*/runtime.toml")):
            folder = manifest.parent
            for path in _files(folder):
                included[str(path)] = f"{TARGET}/{path.relative_to(root)}"
            compiled = self._compiled(folder, tomllib.loads(manifest.read_text()).get("build"))
            if compiled is not None:
                included[str(compiled)] = f"{TARGET}/{folder.name}/{BUILT}"

    def _compiled(self, folder: Path, build: dict[str, Any] | None) -> Path | None:
        """The folder with the compiled host; None when there is no compiler for it here."""
        if build is None:
            return None
        if (folder / BUILT).is_dir():
            return folder / BUILT
        if shutil.which(build["tool"]) is None:
            self.app.display_warning(
                f"the host for {folder.name} is not carried compiled: no {build['tool']} here"
            )
            return None
        # It lives until the wheel is written, which is after this returns.
        output = Path(tempfile.mkdtemp(prefix=f"microfaas-{folder.name}-"))
        subprocess.run([build["tool"], *_arguments(build, folder, output)], cwd=folder, check=True)
        return output


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return sorted(p for p in found if LEFT_OUT.isdisjoint(p.relative_to(folder).parts))


def _arguments(build: dict[str, Any], folder: Path, output: Path) -> list[str]:
    sources = [
        path
        for pattern in build["sources"]
        for path in sorted(glob.glob(str(folder / pattern), recursive=True))
    ]
    arguments = []
    for text in build["command"]:
        replaced = text.format(output=output, runtime=folder, sources="{sources}")
        arguments += sources if replaced == "{sources}" else [replaced]
    return arguments
