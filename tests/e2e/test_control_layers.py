"""Functions with layers that were published through Lambda's own API."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import call, client, create, package
from tests.e2e.project import Project

USES = "import greeting\n\ndef handler(event, context):\n    return greeting.WORDS\n"


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    return client(project)


def publish(lambdas: Any, words: str, name: str = "words") -> str:
    """The ARN of a layer version whose module says that."""
    data = package(f"WORDS = {words!r}\n", "python/greeting.py")
    arn: str = lambdas.publish_layer_version(LayerName=name, Content={"ZipFile": data})[
        "LayerVersionArn"
    ]
    return arn


def test_a_function_sees_its_layers(lambdas: Any) -> None:
    first, second = publish(lambdas, "one"), publish(lambdas, "two")
    made = create(lambdas, code=USES, Layers=[first])
    assert [each["Arn"] for each in made["Layers"]] == [first]
    found = lambdas.get_layer_version_by_arn(Arn=first)
    assert made["Layers"][0]["CodeSize"] == found["Content"]["CodeSize"]
    with urllib.request.urlopen(found["Content"]["Location"]) as reply:
        assert len(reply.read()) == found["Content"]["CodeSize"]
    assert call(lambdas) == "one"
    over = publish(lambdas, "over", "later")
    for layers, said in (([second], "two"), ([second, over], "over"), ([over, second], "two")):
        lambdas.update_function_configuration(FunctionName="f", Layers=layers)
        lambdas.get_waiter("function_updated_v2").wait(FunctionName="f")
        assert call(lambdas) == said


def test_a_deleted_version_stays_with_who_has_it(project: Project, lambdas: Any) -> None:
    arn = publish(lambdas, "still here")
    create(lambdas, code=USES, Layers=[arn], Publish=True)
    lambdas.delete_layer_version(LayerName="words", VersionNumber=1)
    project.kill()
    project.start()
    again = client(project)
    assert call(again) == call(again, qualifier="1") == "still here"
    again.update_function_code(FunctionName="f", ZipFile=package(USES + "\n# new\n"))
    again.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert call(again) == "still here"
    with pytest.raises(ClientError, match=r"Layer version .*:words:1 does not exist\."):
        create(again, "g", code=USES, Layers=[arn])
    with pytest.raises(ClientError, match=r"Layer version .*:words:1 does not exist\."):
        again.update_function_configuration(FunctionName="f", Layers=[arn])
    assert publish(again, "new").endswith(":words:2")
