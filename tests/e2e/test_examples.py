"""Every example does what its README says."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.project import Project, until
from tests.e2e.toolchains import build, provide_dotnet

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_hello(project: Project) -> None:
    copy_example(project, "hello")
    project.start()
    assert "Ada" in json.dumps(project.invoke("hello", {"name": "Ada"}))


def test_thumbnails(project: Project) -> None:
    copy_example(project, "thumbnails")
    project.start()
    python = project.root / ".venv" / "bin" / "python"
    draw = (
        "import sys; from PIL import Image; Image.new('RGB', (800, 400), 'red').save(sys.argv[1])"
    )
    for name in ("a photo.jpg", "sub/deep.png"):
        (project.root / "inbox" / name).parent.mkdir(exist_ok=True)
        subprocess.run([python, "-c", draw, project.root / "inbox" / name], check=True)
    made = [project.root / "thumbnails" / name for name in ("a photo.jpg", "sub/deep.png")]
    until(lambda: all(path.exists() for path in made), "the thumbnails")
    size = "import sys; from PIL import Image; print(max(Image.open(sys.argv[1]).size))"
    done = subprocess.run([python, "-c", size, made[0]], capture_output=True, check=True)
    assert int(done.stdout) == 128


@pytest.mark.parametrize("auth", [False, True])
def test_polyglot(project: Project, monkeypatch: pytest.MonkeyPatch, auth: bool) -> None:
    provide_dotnet(monkeypatch)
    copy_example(project, "polyglot")
    build(project.root, "./build.sh")
    if auth:
        configuration = project.root / "microfaas.toml"
        configuration.write_text(f"auth = true\n{configuration.read_text()}")
        made = project.cli("keys", "create", "test", "--allow", "invoke:Invoice")
        values = dict(line.split("=") for line in made.stdout.decode().split())
        project.key = values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]
    project.start()
    order = "customer: Ada Lovelace\ncountry: DE\n\n3 x keyboard @ 49.90\n1 x cable @ 7.49\n"
    event = {"number": "2026-0042", "date": "2026-01-31", "order": order}
    invoice = project.invoke("Invoice", event)
    assert (invoice["net"], invoice["vat"], invoice["gross"]) == ("157.19", "29.87", "187.06")
    # The thirtieth day is a Monday; a day earlier, what was due on a Sunday is due on it too.
    assert invoice["due"] == "2026-03-02"
    assert _is_reference(invoice["reference"])
    for text in ("Ada Lovelace, Germany", "187.06", "keyboard", invoice["reference"]):
        assert text in invoice["text"]
    seal = invoice.pop("seal")
    canonical = json.dumps(invoice, sort_keys=True).encode()
    assert seal == f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    assert project.invoke("Invoice", {**event, "date": "2026-01-30"})["due"] == "2026-03-02"
    for bad, why in BAD_ORDERS.items():
        error = project.fail("Invoice", {"order": bad})
        assert (error["errorType"], error["errorMessage"]) == ("StepFailed", why)


BAD_ORDERS = {
    "customer: Ada\nthree mice": "Read: line 2 cannot be read: three mice",
    "country: XQ\n0 x mouse @ 1.00": "Check: there is no customer; "
    'there is no country "XQ"; mouse: the quantity must be from 1 to 1000, not 0',
    "customer: Ada\ncountry: US\n1 x mouse @ 1.00": "Price: the tax of US is not known",
}


def _is_reference(text: str) -> bool:
    """Whether the check digits of a creditor reference are right (ISO 11649)."""
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def copy_example(project: Project, name: str) -> None:
    """The example with its own data; its virtual environment is shared with the original."""
    source = EXAMPLES / name
    shutil.copytree(
        source,
        project.root,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".venv", ".microfaas", "__pycache__", "classes", "publish"),
    )
    if (source / ".venv").exists():
        (project.root / ".venv").symlink_to(source / ".venv")
