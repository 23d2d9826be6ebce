"""CloudWatch's filter patterns: a pattern and a message, parted by a NUL byte, both any text."""

from __future__ import annotations

from microfaas.patterns import InvalidPattern, compile_log_filter


def target(data: bytes) -> None:
    before, _, after = data.partition(b"\0")
    pattern, message = before.decode(errors="replace"), after.decode(errors="surrogateescape")
    try:
        made = compile_log_filter(pattern)
    except InvalidPattern as error:
        assert str(error)
        return
    matched = made.matches(message)
    assert matched in (True, False)
    assert made.matches(message) is matched


def seeds() -> dict[str, bytes]:
    return {
        "terms": b'ERROR "timed \\"out" -retry ?x\0an ERROR: timed "out',
        "object": b"{ ($.a[*].b = \"x*\" || $['k'] != 3e2) && $.c IS NULL }"
        b'\0{"a":[{"b":"xy"}],"c":null}',
        "numbers": b"{ $.a >= 1.5 || $.b NOT EXISTS }\0" + b'{"a":' + b"9" * 400 + b"}",
        "fields": b'[ip, ..., status = 4* && status != "41*", bytes > 10]\0h [x y] "q r" 404 11',
        "deep": b"{" + b"(" * 200 + b"\0" + b"[" * 2000,
        "regex": b"-%^a|[^b-d]{2,3}\\d+$% ?%x*y?%\0cab12",
        "regexes": b"[a, b = %.{2,}\\x41% || b != %x{0,9}%]\0one twoA",
        "nothing": b"",
    }
