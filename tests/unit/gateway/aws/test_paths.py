"""Which operation a path means."""

from __future__ import annotations

import pytest

from docs import aws_models
from microfaas.gateway.aws import model
from microfaas.gateway.aws.paths import Found, Paths

PATHS = Paths([model.load(name) for name in aws_models.SERVED])
FUNCTION = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af"
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:l:1"


def found(method: str, path: str, query: str = "") -> Found:
    there = PATHS.find(method, path, query)
    assert there is not None
    return there


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/2015-03-31/functions", "", "ListFunctions"),
        ("GET", "/2015-03-31/functions/", "MaxItems=1", "ListFunctions"),
        ("POST", "/2015-03-31/functions/", "", "CreateFunction"),
        ("GET", "/2015-03-31/functions/f/", "", "GetFunction"),
        ("GET", "/2018-10-31/layers", "", "ListLayers"),
        ("GET", "/2018-10-31/layers", f"find=LayerVersion&Arn={LAYER}", "GetLayerVersionByArn"),
        ("GET", "/2018-10-31/layers", f"Arn={LAYER}&find=LayerVersion", "GetLayerVersionByArn"),
        ("GET", "/2018-10-31/layers", "find=other", "ListLayers"),
        (
            *("GET", "/2019-09-30/functions/f/provisioned-concurrency"),
            *("Qualifier=1", "GetProvisionedConcurrencyConfig"),
        ),
        (
            *("GET", "/2019-09-30/functions/f/provisioned-concurrency"),
            *("List=ALL&MaxItems=1", "ListProvisionedConcurrencyConfigs"),
        ),
        (
            *("GET", "/2019-09-25/functions/f/event-invoke-config/list"),
            *("", "ListFunctionEventInvokeConfigs"),
        ),
        ("GET", "/2025-11-30/capacity-providers/p", "", "GetCapacityProvider"),
        ("GET", "/schedules/s", "", "GetSchedule"),
    ],
)
def test_a_path_means_the_most_specific_operation(
    method: str, path: str, query: str, operation: str
) -> None:
    assert found(method, path, query).operation == operation


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        (
            *("GET", f"/2015-03-31/functions/{FUNCTION}/aliases/a%20b"),
            {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:f", "Name": "a b"},
        ),
        ("POST", "/2017-03-31/tags/a%2Fb%2fc", {"Resource": "a/b/c"}),
        ("GET", "/2015-03-31/functions/f:%24LATEST/policy/", {"FunctionName": "f:$LATEST"}),
        ("GET", "/2015-03-31/functions/a+b", {"FunctionName": "a+b"}),
    ],
)
def test_labels_are_what_stands_between_slashes(
    method: str, path: str, named: dict[str, str]
) -> None:
    assert found(method, path).named == named


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/2015-03-31/functions/f"),
        ("GET", "/2015-03-31/functions/f/unknown"),
        ("GET", "/2015-03-31/functions/f/aliases/a/b"),
        ("GET", "/2015-04-01/functions/f"),
        ("GET", "/2015-03-31/functions/f%2Fconfiguration/x"),
        ("GET", "/"),
        ("GET", ""),
    ],
)
def test_other_paths_mean_nothing(method: str, path: str) -> None:
    assert PATHS.find(method, path, "") is None


@pytest.mark.parametrize("service", ["lambda", "scheduler"])
def test_each_operation_is_found_at_its_own_place(service: str) -> None:
    known = model.load(service)
    for places in (known.operations, known.unserved):
        for name, place in places.items():
            path, _, query = place.uri.partition("?")
            assert found(place.method, path, query).operation == name
