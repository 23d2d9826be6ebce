"""The deployment floor: make a package durable, start an interpreter that imports it, call it.

Nothing is checked, confined or routed, and there is no HTTP. Prints one JSON list: milliseconds
from the first write to the function's answer.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

CALL = """\
import json, sys
sys.path.insert(0, sys.argv[1])
import release
print(json.dumps(release.handler({}, None)), flush=True)
"""
# Functions are not run with the project's own packages.
PYTHON = os.path.realpath(sys.executable)


def keep(folder: Path, content: bytes) -> None:
    """Write a file that is there, whole, after a power cut."""
    with open(folder / "new", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(folder / "new", folder / "kept")
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def deployed_ms(folder: Path, content: bytes, writes: int) -> float:
    """WRITES: how many things the deployment makes durable, one after the other."""
    start = time.perf_counter()
    for _ in range(writes):
        keep(folder, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder / "code")
    argv = [PYTHON, "-I", "-c", CALL, str(folder / "code")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = process.stdout.readline()
        took = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"cannot call the function: {said!r}")
    return took * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--package", required=True, help="a .zip file with release.py")
    parser.add_argument("--folder", required=True, help="on the disk that is to be measured")
    parser.add_argument("--writes", type=int, required=True)
    given = parser.parse_args()
    content = Path(given.package).read_bytes()
    took = []
    for _ in range(given.count):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            took.append(deployed_ms(Path(folder), content, given.writes))
    print(json.dumps(took))


if __name__ == "__main__":
    main()
