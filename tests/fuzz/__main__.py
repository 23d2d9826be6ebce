"""`python -m tests.fuzz TARGET --seconds N`: coverage-guided fuzzing with atheris."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import fuzz

INPUT_BYTES_MAX = 4096
INPUT_S_MAX = 20
MEMORY_MB_MAX = 2048


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=fuzz.__doc__)
    parser.add_argument("target", choices=fuzz.TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (60)")
    arguments = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print(
            "cannot fuzz: atheris is not installed; pip install 'microfaas[fuzz]' where there is "
            "one for this Python",
            file=sys.stderr,
        )
        return 2
    with atheris.instrument_imports(include=["microfaas", "tests.fuzz", "zipfile", "tomllib"]):
        run = fuzz.target(arguments.target)
    crashers = fuzz.CORPUS / arguments.target
    crashers.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        for name, data in fuzz.kept(arguments.target).items():
            Path(found, name).write_bytes(data)
        options = [
            f"-max_total_time={arguments.seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={INPUT_S_MAX}",
            f"-rss_limit_mb={MEMORY_MB_MAX}",
            f"-artifact_prefix={crashers}/",
        ]
        atheris.Setup([sys.argv[0], *options, found], run)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
