"""A bootstrap of a shell and curl, with one program for each request, as in Lambda's tutorial."""

from __future__ import annotations

from provided_world import World, fields_of

BOOTSTRAP = """#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
    headers=$(mktemp)
    event=$(curl -sS -LD "$headers" "$api/next")
    id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
    rm "$headers"
    case $event in
    *large*)
        head -c 2000000 /dev/zero | tr '\\0' x | curl -sS "$api/$id/response" --data-binary @-
        ;;
    *fail*) curl -sS "$api/$id/error" -d '{"errorType": "Own", "errorMessage": "no"}' ;;
    *) curl -sS "$api/$id/response" -d "Echoing: $event" ;;
    esac
done
"""


def test_it_answers(world: World) -> None:
    world.place(world.code / "bootstrap", BOOTSTRAP)
    instance = world.begin()
    assert instance.receive()["kind"] == "loaded"
    for number in range(5):
        event = b'{"n": %d}' % number
        assert instance.result(event, request_id=f"id-{number}") == b"Echoing: " + event
    assert fields_of(instance.invoke(b'"fail"')) == ("Own", "no")
    # curl asks whether it may send as much, before it does.
    assert instance.result(b'"large"') == b"x" * 2_000_000
