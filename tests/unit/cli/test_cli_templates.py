"""`microfaas run` of a template: what is served of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from microfaas.cli import main, source
from microfaas.errors import ConfigError

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: test}
Resources:
  Photos: {Type: AWS::S3::Bucket}
  Jobs: {Type: AWS::SQS::Queue}
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.999
      Handler: index.handler
      InlineCode: "def handler(event, context): return 1"
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: AWS_IAM}
      Environment: {Variables: {JOBS: !Ref Jobs, STAGE: !Ref Stage}}
      Events:
        New: {Type: S3, Properties: {Bucket: !Ref Photos, Events: "s3:ObjectCreated:*"}}
"""


@pytest.fixture(autouse=True)
def _template() -> None:
    Path("template.yaml").write_text(TEMPLATE)


def test_a_template_is_served_as_a_project() -> None:
    served = source.serving("template.yaml", {"Stage": "prod"}, "127.0.0.1:9555", None)
    [function] = served.config.functions
    assert function.environment == {
        "JOBS": "http://127.0.0.1:9555/123456789012/Jobs",
        "STAGE": "prod",
    }
    # That version is nowhere; whichever is here serves.
    assert function.runtime == "python"
    assert [trigger.kind for trigger in served.config.triggers] == ["bucket"]
    assert Path("buckets/photos").is_dir()
    assert [(each.name, each.write) for each in function.mounts] == [("BUCKET_PHOTOS", False)]
    assert Path(function.code, "index.py").exists()
    assert list(source.passed_over(served)) == [
        "passed over: the alias live of Work; microfaas deploy makes it",
        "passed over: the URL of Work; microfaas deploy makes it",
    ]


def test_the_file_beside_it_says_what_a_template_cannot() -> None:
    Path("microfaas.toml").write_text(
        'region = "eu-west-1"\naccount_id = "111122223333"\nlisten = "127.0.0.1:9556"\n'
        "memory_budget_mb = 256\n[functions.other]\n"
    )
    served = source.serving("template.yaml", {}, None, None).config
    assert served.memory_budget_mb == 256
    [function] = served.functions
    assert function.environment["JOBS"] == "http://127.0.0.1:9556/111122223333/Jobs"


def test_deploying_makes_no_buckets_here() -> None:
    deployed = source.deploying("template.yaml", {}, "http://there:9000")
    [function] = deployed.config.functions
    assert function.environment["JOBS"] == "http://there:9000/123456789012/Jobs"
    assert function.runtime == "python3.999"
    assert not Path("buckets").exists()
    assert function.mounts == ()


def test_projects_have_no_parameters() -> None:
    Path("microfaas.toml").write_text("")
    with pytest.raises(ConfigError, match="only templates have parameters, such as Stage"):
        source.serving(".", {"Stage": "prod"}, None, None)
    with pytest.raises(ConfigError, match="only templates have parameters"):
        source.deploying(".", {"Stage": "prod"}, "")


def test_a_parameter_is_a_name_and_a_value() -> None:
    done = CliRunner().invoke(main, ["run", "template.yaml", "--parameter", "Stage"])
    assert done.exit_code == 2
    assert "'Stage' is not NAME=VALUE" in done.output


def test_what_is_wrong_with_a_template_ends_the_command() -> None:
    done = CliRunner().invoke(main, ["run", "template.yaml", "--parameter", "Stag=x"])
    assert done.exit_code == 2
    assert 'template.yaml:2: has no Stag; did you mean "Stage"?' in done.output
