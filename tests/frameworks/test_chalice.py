"""AWS's Chalice deploys an application, changes it and takes it away, given the endpoint alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.control import client
from tests.e2e.project import Project, until

HERE = Path(__file__).parent
COMMAND = HERE / ".venv" / "bin" / "chalice"
# Its own idea of what a function may do comes from reading the code, which is not what this is for.
STAGES = {"dev": {"autogen_policy": False, "lambda_timeout": 30}}
NOTHING_MORE = {"Version": "2012-10-17", "Statement": []}
NAMES = {"shop-dev-greet", "shop-dev-pack", "shop-dev-tell"}


class Shop:
    """The application's folder, and the command in it."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        shutil.copytree(HERE / "chalice_app", folder)
        settings = folder / ".chalice"
        settings.mkdir()
        config = {"version": "2.0", "app_name": "shop", "stages": STAGES}
        (settings / "config.json").write_text(json.dumps(config))
        (settings / "policy-dev.json").write_text(json.dumps(NOTHING_MORE))
        (folder / "requirements.txt").touch()

    def run(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder.parent),
                "AWS_ENDPOINT_URL": self.project.url,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
            },
        )
        assert done.returncode == 0, done.stderr + self.project.output.read_text()
        return done.stdout

    def logged(self, function: str, line: str) -> None:
        until(lambda: line in self.run("logs", "--name", function), f"{line!r} in the log")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    project = Project(tmp_path / "project")
    project.root.mkdir()
    project.write("microfaas.toml", "[queues.orders]\nvisibility_timeout_s = 60\n[topics.news]\n")
    project.start()
    yield Shop(project, tmp_path / "shop")
    assert project.stop() == 0, project.output.read_text()
    assert "Traceback" not in project.output.read_text()


def test_an_application_comes_changes_and_goes(shop: Shop) -> None:
    lambdas = client(shop.project)
    shop.run("deploy")
    assert {row["FunctionName"] for row in lambdas.list_functions()["Functions"]} == NAMES
    said = json.loads(shop.run("invoke", "--name", "greet", stdin='{"name": "Ada"}'))
    assert said == {"hello": "Ada", "by": "shop-dev-greet"}

    queue = client(shop.project, "sqs")
    url = queue.get_queue_url(QueueName="orders")["QueueUrl"]
    queue.send_message(QueueUrl=url, MessageBody="tea")
    shop.logged("pack", "packs tea")
    topic = "arn:aws:sns:us-east-1:123456789012:news"
    client(shop.project, "sns").publish(TopicArn=topic, Message="we are open")
    shop.logged("tell", "tells we are open")

    code = shop.folder / "app.py"
    code.write_text(code.read_text().replace('"hello"', '"good morning"'))
    shop.run("deploy")
    said = json.loads(shop.run("invoke", "--name", "greet", stdin='{"name": "Ada"}'))
    assert said == {"good morning": "Ada", "by": "shop-dev-greet"}

    shop.run("delete")
    assert lambdas.list_functions()["Functions"] == []
    assert lambdas.list_event_source_mappings()["EventSourceMappings"] == []
    assert client(shop.project, "iam").list_roles()["Roles"] == []
    assert client(shop.project, "sns").list_subscriptions()["Subscriptions"] == []
