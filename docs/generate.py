"""Writes the pages that say what the code says: configuration, system calls, AWS's operations.

python -m docs.generate            write them
python -m docs.generate --check    only tell whether they are current
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from docs import aws_api
from microfaas.config.api import ApiTable
from microfaas.config.authorizers import AuthorizerTable
from microfaas.config.cors import CorsTable
from microfaas.config.endpoints import EndpointTable
from microfaas.config.functions import TriggerTable
from microfaas.config.http import MockTable
from microfaas.config.stream_tables import SourceTable, StreamTable
from microfaas.config.tables import (
    ConfigTable,
    FunctionTable,
    MountTable,
    PricesTable,
    QueueTable,
    RequestsTable,
    SecretTable,
    TlsTable,
)
from microfaas.config.topic_tables import SmtpTable, SubscriptionTable, TopicTable
from microfaas.linux import seccomp
from microfaas.triggers import table

KINDS = {
    float: "number",
    int: "whole number",
    str: "text",
    bool: "true or false",
    datetime: "date and time",
    Any: "any",
}
INTRODUCTION = """\
<!-- Made by docs/generate.py; edit the structs in microfaas/config and microfaas/triggers. -->

# Configuration

A project is a folder with a `microfaas.toml`:

```toml
listen = "127.0.0.1:9000"          # also: microfaas run --listen HOST:PORT
data = ".microfaas"                # also: --data DIR; logs, store, code
memory_budget_mb = 2048            # default: a share of the machine's

[functions.thumbnail]
runtime = "python"                 # or "python3.12"
handler = "app.handler"
code = "."                         # folder or .zip, relative to this file
memory_mb = 256
timeout_s = 10
concurrency_max = 4
environment = { SIZE = "128" }

[[functions.thumbnail.triggers]]
type = "bucket"
path = "inbox"
suffix = ".jpg"
```

Every key has a default unless it says *required*. Paths are relative to the file. Unknown keys,
wrong types and impossible values are refused at start, all at once, each with its place and what
would be right. `microfaas run app.py:handler` needs no file at all.
"""
SYSTEM_CALLS = """\
<!-- Made by docs/generate.py; edit microfaas/linux/seccomp.py. -->

# System calls

What a function may ask of the kernel, where seccomp is there to hold it to that. What is in neither
list fails with ENOSYS, as on an older kernel: so do calls that future kernels will have, and
`clone3`, whose arguments no filter can see. Of what is allowed some arguments are not: new
namespaces in `clone`, character and block devices in `mknod`, other families than Unix, IPv4, IPv6
and netlink's routing and lists of sockets in `socket`, typing into a terminal by `ioctl`, all but
harmless flags in `personality`. A call in the manner of another architecture ends the process.
"""


def page() -> str:
    sections = [
        section("Top level", ConfigTable),
        section("`[functions.NAME]`", FunctionTable),
        section("`[functions.NAME.mounts.VARIABLE]`", MountTable),
        section("`[functions.NAME.secrets.VARIABLE]`", SecretTable),
        section("`[tls]`", TlsTable),
        section("`[api]`", ApiTable),
        section("`[requests]`", RequestsTable),
        section("`[prices]`", PricesTable),
        section("`[queues.NAME]`", QueueTable),
        section("`[topics.NAME]`", TopicTable),
        section("`[[topics.NAME.subscriptions]]`", SubscriptionTable),
        section("`[smtp]`", SmtpTable),
        section("`[streams.NAME]`", StreamTable),
        section("`[streams.NAME.source]`", SourceTable),
        section("`[endpoints.SERVICE]`", EndpointTable),
        "\n## `[[functions.NAME.triggers]]`\n\n"
        "The key `type` says which kind of trigger it is, and so which keys there are besides.\n",
        section("Of every kind", TriggerTable, 3),
        *(section(f"`{kind}`", struct, 3) for kind, struct in table.settings().items()),
        section("`authorizer` of `http`", AuthorizerTable, 3),
        section("`cors` of `http`", CorsTable, 3),
        section("`mock` of `http`", MockTable, 3),
    ]
    return INTRODUCTION + "".join(sections)


def section(title: str, struct: type[msgspec.Struct], level: int = 2) -> str:
    lead = " ".join((struct.__doc__ or "").split())
    head = f"\n{'#' * level} {title}\n\n{lead}\n\n"
    rows = [row(field) for field in msgspec.structs.fields(struct)]
    columns = ("key", "type", "default", "range", "description")
    lines = [columns, ("---",) * len(columns), *rows]
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def row(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    metas = list(metas_of(field.type))
    description = next((meta.description for meta in metas if meta.description), "")
    ranges = ", ".join(filter(None, map(range_of, metas)))
    cells = (f"`{field.encode_name}`", type_of(field.type), default_of(field), ranges, description)
    return tuple(cell.replace("|", "\\|") for cell in cells)


def metas_of(kind: Any) -> Iterator[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        yield from (meta for meta in metas if isinstance(meta, msgspec.Meta))
        yield from metas_of(inner)
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from metas_of(part)


def range_of(meta: msgspec.Meta) -> str:
    parts = [
        f"more than {meta.gt:g}" if meta.gt is not None else "",
        f"at least {meta.ge}" if meta.ge is not None else "",
        f"at most {meta.le:.10g}" if meta.le is not None else "",
        f"at least {meta.min_length} long" if meta.min_length is not None else "",
        f"at most {meta.max_length} long" if meta.max_length is not None else "",
        f"`{meta.pattern}`" if meta.pattern is not None else "",
    ]
    return ", ".join(filter(None, parts))


def type_of(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_of(arguments[0])
    if origin is Literal:
        return ", ".join(f'`"{choice}"`' for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_of(part) for part in arguments if part is not type(None))
    if origin is list:
        return f"list of: {type_of(arguments[0])}"
    if origin is dict:
        return "table" if arguments[1] is Any else f"table of: {type_of(arguments[1])}"
    return KINDS.get(kind, "table")


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "*required*"
    made = field.default_factory
    value = field.default if made is msgspec.NODEFAULT else made()
    if value is None or value == "":
        return ""
    if isinstance(value, dict | msgspec.Struct):
        return "" if isinstance(value, msgspec.Struct) else "`{}`"
    text = f"{value:.10f}".rstrip("0") if isinstance(value, float) and 0 < value < 0.001 else None
    return f"`{text or msgspec.json.encode(value).decode()}`"


def system_calls() -> str:
    parts = [
        (
            "Allowed",
            "Files, memory, processes, time, sockets, waiting. A name that a machine does not\n"
            "have means nothing there.",
            seccomp.ALLOWED,
        ),
        (
            "Refused",
            "With EPERM: other processes, mounts and namespaces, the kernel itself, its keys and\n"
            "clocks, and what has a long record of holes and is not needed.",
            seccomp.REFUSED,
        ),
    ]
    lists = "".join(
        f"\n## {title}\n\n{lead}\n\n{_wrapped(names)}\n" for title, lead, names in parts
    )
    return SYSTEM_CALLS + lists


def _wrapped(names: str) -> str:
    words = " ".join(f"`{name}`" for name in names.split())
    return textwrap.fill(words, 100, break_long_words=False, break_on_hyphens=False)


PAGES: Mapping[str, Callable[[], str]] = {
    "aws-api.md": aws_api.page,
    "configuration.md": page,
    "system-calls.md": system_calls,
}


def main() -> int:
    check = "--check" in sys.argv[1:]
    for name, make in PAGES.items():
        path = Path(__file__).with_name(name)
        if not check:
            path.write_text(make(), encoding="utf-8")
        elif path.read_text(encoding="utf-8") != make():
            print(f"{path} is not current: run python -m docs.generate", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
