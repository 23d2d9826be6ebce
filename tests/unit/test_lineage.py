"""The lineage in a trace header."""

from __future__ import annotations

import pytest

from microfaas import lineage

A, B, C = (lineage.hash_of(f"arn:{name}") for name in "abc")
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"


def run(trace_id: str, *functions: str) -> str:
    for function in functions:
        trace_id = lineage.extended(trace_id, function)
    return trace_id


def test_a_function_is_eight_digits() -> None:
    assert len({A, B, C}) == 3
    assert all(len(each) == 8 and int(each, 16) >= 0 for each in (A, B, C))


def test_a_call_from_outside_begins_a_lineage() -> None:
    assert run(ROOT, A) == f"{ROOT};Lineage=1:{A}:0"
    assert lineage.passes(ROOT, A) == 0
    assert lineage.passes("", A) == 0


def test_each_pass_is_counted() -> None:
    trace_id = ROOT
    for number in range(40):
        assert lineage.passes(trace_id, A) == number
        trace_id = run(trace_id, A)
    assert trace_id == f"{ROOT};Lineage=1:{A}:39"


def test_functions_are_counted_by_themselves() -> None:
    trace_id = run(ROOT, A, B, A, B, A)
    assert trace_id == f"{ROOT};Lineage=1:{B}:1|1:{A}:2"
    assert [lineage.passes(trace_id, each) for each in (A, B, C)] == [3, 2, 0]


@pytest.mark.parametrize("bar", ["|", "%7C", "%7c"])
@pytest.mark.parametrize("number", ["", "1:", "25:"])
def test_what_others_write_is_understood(bar: str, number: str) -> None:
    given = f"Lineage={number}{A}:3{bar}{number}{B}:1"
    assert lineage.passes(f"Root=1;{given};Sampled=1", A) == 4
    assert run(f"Root=1;{given};Sampled=1", B) == f"Root=1;Sampled=1;Lineage=1:{A}:3|1:{B}:2"


@pytest.mark.parametrize(
    "given",
    ["", "x", f"1:{A}", f"1:{A}:", f"{A}", f"1:{A.upper()}g:1", f"1:{A}:x", f"1:{A}:1:2", "|||"],
)
def test_what_is_no_lineage_is_dropped(given: str) -> None:
    assert lineage.passes(f"Root=1;Lineage={given}", A) == 0
    assert run(f"Root=1;Lineage={given}", A) == f"Root=1;Lineage=1:{A}:0"


def test_what_only_looks_like_one_is_left_alone() -> None:
    trace_id = f"Root=1;MyLineage={A}:3"
    assert lineage.passes(trace_id, A) == 0
    assert run(trace_id, A) == f"{trace_id};Lineage=1:{A}:0"


def test_counts_have_an_end() -> None:
    trace_id = run(f"Root=1;Lineage=1:{A}:999", A, A)
    assert trace_id == f"Root=1;Lineage=1:{A}:{lineage.COUNT_MAX}"


def test_the_header_does_not_grow_without_end() -> None:
    many = [lineage.hash_of(str(number)) for number in range(200)]
    trace_id = run(ROOT, *many)
    # It fits where the Python and Ruby hosts keep the variable.
    assert len(run(trace_id, *many)) < 480
    assert lineage.passes(trace_id, many[-1]) == 1
    assert lineage.passes(trace_id, many[0]) == 0


def test_a_circle_is_found_however_long_the_way_to_it() -> None:
    way = [lineage.hash_of(str(number)) for number in range(50)]
    trace_id = run(ROOT, *way, *way)
    circle = [lineage.hash_of(f"c{number}") for number in range(lineage.FUNCTIONS_MAX)]
    for number in range(lineage.PASSES_MAX):
        assert lineage.passes(trace_id, circle[0]) == number
        trace_id = run(trace_id, *circle)


def test_a_batch_has_the_highest_counts_of_its_messages() -> None:
    one, other = run("Root=1", A, A, A, B), run("Root=2", A, C, C)
    assert lineage.joined([one, "", other]) == f"Root=1;Lineage=1:{A}:2|1:{B}:0|1:{C}:1"
    assert lineage.joined(["Root=3", other]) == f"Root=3;Lineage=1:{A}:0|1:{C}:1"
    assert lineage.joined(["", one, one]) == one
    assert lineage.joined(["Root=1", "Root=2"]) == "Root=1"
    assert lineage.joined(["", ""]) == lineage.joined([]) == ""


def test_what_is_sent_again_begins_anew() -> None:
    assert lineage.begun_anew(run(ROOT, A, B)) == ROOT
    assert lineage.begun_anew(ROOT) == ROOT
    assert lineage.begun_anew(run("", A)) == lineage.begun_anew("") == ""


@pytest.mark.parametrize("given", ["caf\u00e9", "a\nb", "a\x7f", "x" * 1025])
def test_what_is_unfit_is_passed_on_to_nobody(given: str) -> None:
    assert lineage.plain(given) == ""
    assert lineage.plain(ROOT) == ROOT


def test_a_new_trace_is_made_of_the_request_and_the_time() -> None:
    made = lineage.new_trace_id("5759e988-bd86-4e3f-a1be-46a994272793", at_s=0x6A2B3C4D)
    assert made == ("Root=1-6a2b3c4d-5759e988bd8646a994272793;Parent=a1be46a994272793;Sampled=0")
    assert lineage.new_trace_id("5759e988-bd86-4e3f-a1be-46a994272793").startswith("Root=1-")
