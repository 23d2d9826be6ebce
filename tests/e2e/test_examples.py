"""Every example does what its README says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.e2e.project import Project, until

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_hello(project: Project) -> None:
    _copy(project, "hello")
    project.start()
    assert "Ada" in json.dumps(project.invoke("hello", {"name": "Ada"}))


def test_thumbnails(project: Project) -> None:
    _copy(project, "thumbnails")
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


def test_food_delivery(project: Project) -> None:
    _copy(project, "food-delivery")
    project.start()
    order = {
        "customer": "Ada",
        "card": "4242 4242 4242 4242",
        "items": [{"dish": "margherita", "quantity": 2}, {"dish": "water"}],
    }
    result = project.invoke("Order", order)
    assert (result["status"], result["total_cents"]) == ("confirmed", 1950)
    assert result["payment"]["approved"] is True
    until(lambda: result["order_id"] in project.log("Notification"), "the notification")
    declined = project.invoke("Order", {**order, "card": "4000 0000 0000 0002"})
    assert declined["status"] == "declined"
    assert project.fail("Order", {"customer": "Ada", "items": []})["errorType"] == "InvalidOrder"


def _copy(project: Project, name: str) -> None:
    """The example with its own data; its virtual environment is shared with the original."""
    source = EXAMPLES / name
    shutil.copytree(
        source,
        project.root,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".venv", ".microfaas", "__pycache__"),
    )
    if (source / ".venv").exists():
        (project.root / ".venv").symlink_to(source / ".venv")
