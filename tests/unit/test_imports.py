"""What a server loads before anybody asks it for anything: small machines pay for all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = "import sys, microfaas.server; print(sys.argv[1] in sys.modules)"


@pytest.mark.parametrize("package", ["cryptography", "rich", "samtranslator", "yaml"])
def test_what_few_need_is_loaded_with_the_first_need(package: str) -> None:
    argv = [sys.executable, "-c", PROBE, package]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == "False"
