"""The SAM transform: `AWS::Serverless::…` becomes CloudFormation's own resources.

AWS's translator does it, without a network: its list of managed policies is empty, and it is told
the region. It takes code from S3 only. So a local path travels as the key of an object in a bucket
of that name, and is read back from what comes out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

from microfaas.errors import ConfigError, Problem
from microfaas.model import Address
from microfaas.templates.document import Document, absent

TRANSFORM = "AWS::Serverless-2016-10-31"
LOCAL_BUCKET = "microfaas-local"
_CODE_KEYS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}
# What says where a function's code is, so that it is not where the template is.
_CODE_GIVEN = ("CodeUri", "ImageUri", "InlineCode")


def translate(document: Document, template: Mapping[str, Any], address: Address) -> dict[str, Any]:
    """The resources of a template whose parameters are resolved. Raises ConfigError."""
    resources: dict[str, Any] = template["Resources"]
    if not _asks_for_it(document.data):
        return resources
    try:
        from samtranslator.metrics.metrics import DummyMetricsPublisher, Metrics
        from samtranslator.model.exceptions import InvalidDocumentException
        from samtranslator.parser.parser import Parser
        from samtranslator.translator.translator import Translator
    except ImportError:
        raise absent(document.source) from None
    prepared = _prepared(template)
    region = SimpleNamespace(region_name=address.region)
    metrics = Metrics("", DummyMetricsPublisher())
    translator = Translator({}, Parser(), boto_session=region, metrics=metrics)
    try:
        translated = translator.translate(prepared, {})
    except InvalidDocumentException as error:
        problems = [_problem(document, cause) for cause in error.causes]
        raise ConfigError(document.source, problems) from None
    finally:
        # It warns of what nobody has taken.
        metrics.publish()
    made: dict[str, Any] = translated["Resources"]
    return made


def local_path(code: Mapping[str, Any]) -> str | None:
    """The local path that S3Bucket and S3Key stand for, if they do."""
    if code.get("S3Bucket") != LOCAL_BUCKET:
        return None
    return unquote(str(code["S3Key"]))


def _asks_for_it(data: Mapping[str, Any]) -> bool:
    named = data.get("Transform", [])
    return TRANSFORM in (named if isinstance(named, list) else [named])


def _prepared(template: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose local code the translator takes for objects in S3."""
    made = copy.deepcopy(dict(template))
    shared = (made.get("Globals") or {}).get("Function") or {}
    _hide_path(shared, "CodeUri")
    for row in made["Resources"].values():
        key = _CODE_KEYS.get(row.get("Type"))
        properties = row.setdefault("Properties", {}) if key else {}
        if key == "CodeUri" and not any(name in {**shared, **properties} for name in _CODE_GIVEN):
            properties[key] = "."
        if key:
            _hide_path(properties, key)
    return made


def _hide_path(properties: dict[str, Any], key: str) -> None:
    path = properties.get(key)
    if isinstance(path, str) and not path.startswith("s3://"):
        properties[key] = f"s3://{LOCAL_BUCKET}/{quote(path, safe='')}"


def _problem(document: Document, cause: Any) -> Problem:
    logical_id = str(getattr(cause, "_logical_id", "") or getattr(cause, "logical_id", ""))
    return Problem(document.place_of(logical_id), cause.message)
