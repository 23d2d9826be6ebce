"""`python -m tests.fuzz TARGET --seconds N`: coverage-guided fuzzing with atheris.

What reaches new code is collected in `.fuzz/TARGET`, where the next run goes on from it; what
breaks something is put into the corpus. `--keep` puts a small set of the collected into it, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests import fuzz

COLLECTED = Path(__file__).parents[2] / ".fuzz"
INPUT_BYTES_MAX = 4096
KEPT_BYTES_MAX = 400
INPUT_S_MAX = 20
MEMORY_MB_MAX = 2048


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=fuzz.__doc__)
    parser.add_argument("target", choices=fuzz.TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (60)")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what was collected")
    # Others are libFuzzer's: to reckon what is worth keeping it starts this program once more.
    arguments, options = parser.parse_known_args()
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
    corpus, collected = fuzz.CORPUS / arguments.target, COLLECTED / arguments.target
    for folder in (corpus, collected):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in fuzz.kept(arguments.target).items():
        (collected / name).write_bytes(data)
    if arguments.keep:
        options += ["-merge=1", f"-max_len={KEPT_BYTES_MAX}", str(corpus), str(collected)]
    elif not options:
        options = [
            f"-max_total_time={arguments.seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={INPUT_S_MAX}",
            f"-rss_limit_mb={MEMORY_MB_MAX}",
            f"-artifact_prefix={corpus}/",
            str(collected),
        ]
    program = f"{sys.executable} -m tests.fuzz {arguments.target}"
    atheris.Setup([program, *options], run)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
