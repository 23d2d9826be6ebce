"""Virtual environments for what must not share ours: the peers, and numpy with boto3.

Made once, in `bench/.venvs/` (ignored by git), from the package index.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.endpoint import MissingError

FOLDER = Path(__file__).parent / ".venvs"


def program_of(venv: str, program: str, *packages: str) -> str:
    """The path of PROGRAM in the environment VENV, which is made when it is not there yet."""
    place = FOLDER / venv
    if not (place / "bin" / program).exists():
        make(place, packages)
    return str(place / "bin" / program)


def make(place: Path, packages: tuple[str, ...]) -> None:
    recipe = f"python3 -m venv {place} && {place}/bin/pip install {' '.join(packages)}"
    print(f"bench: making an environment with {', '.join(packages)} …", file=sys.stderr)
    made = subprocess.run(recipe, shell=True, capture_output=True, text=True)
    if made.returncode:
        last = (made.stderr.strip() or "no message").splitlines()[-1]
        raise MissingError(f"cannot install {', '.join(packages)}: {last}; by hand: {recipe}")


def imports_python() -> str:
    """The interpreter of the function that imports numpy and boto3."""
    python = program_of("imports", "python", "numpy", "boto3")
    probe = subprocess.run([python, "-c", "import numpy, boto3"], capture_output=True)
    if probe.returncode:
        raise MissingError(f"cannot import numpy and boto3 with {python}: remove {FOLDER}/imports")
    return python
