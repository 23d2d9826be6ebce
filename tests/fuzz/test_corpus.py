"""What is in the corpora, and some mutations of it, break nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fuzz

EXAMPLES = {
    "frames": 400,
    "lanes": 150,
    "configuration": 250,
    "archives": 150,
    "signatures": 400,
    "patterns": 400,
    "log_filters": 400,
    "aws_requests": 400,
}
KEPT = [(name, key) for name in fuzz.TARGETS for key in fuzz.kept(name)]

edits = st.lists(
    st.tuples(
        st.integers(0, 2**16),
        st.integers(0, 8),
        st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\0", b"\xff" * 4, b" " * 8]),
    ),
    max_size=6,
)


def edited(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The data with pieces of it cut out and others put in their place."""
    for place, length, piece in changes:
        start = place % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    return data


@pytest.mark.parametrize(("name", "key"), KEPT, ids=map("-".join, KEPT))
def test_what_is_kept_breaks_nothing(name: str, key: str) -> None:
    fuzz.target(name)(fuzz.kept(name)[key])


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_mutations_of_what_is_kept_break_nothing(name: str) -> None:
    target, kept = fuzz.target(name), list(fuzz.kept(name).values())

    @settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.sampled_from(kept), edits, st.binary(max_size=64))
    def mutate(seed: bytes, changes: list[tuple[int, int, bytes]], fresh: bytes) -> None:
        target(edited(seed, changes))
        target(fresh)

    mutate()


def test_without_a_fuzzer_it_says_how_to_get_one() -> None:
    code = "import sys; sys.modules['atheris'] = None; sys.argv[1:] = ['frames']\n"
    code += "from tests.fuzz.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'microfaas[fuzz]'" in done.stderr
