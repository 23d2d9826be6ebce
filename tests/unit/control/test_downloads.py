"""Links to packages."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from microfaas.control import downloads
from microfaas.control.downloads import Downloads
from microfaas.store.machine_key import MachineKey

PACKAGE = "ab" * 32
LINKS = Downloads(MachineKey(bytes(32)))


def parts(link: str) -> tuple[str, str, str]:
    query = parse_qs(urlsplit(link).query)
    return urlsplit(link).path.rpartition("/")[2], query["expires"][0], query["signature"][0]


def test_a_link_opens_its_package() -> None:
    link = LINKS.link("http://host:1", PACKAGE)
    assert link.startswith(f"http://host:1/_microfaas/v1/packages/{PACKAGE}?")
    assert LINKS.opens(*parts(link))


def test_it_opens_no_other_package() -> None:
    _, expires, signature = parts(LINKS.link("", PACKAGE))
    assert not LINKS.opens("cd" * 32, expires, signature)


def test_it_cannot_be_made_to_last() -> None:
    package, expires, signature = parts(LINKS.link("", PACKAGE))
    assert not LINKS.opens(package, str(int(expires) + 1), signature)


def test_it_is_good_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LINK_S", -1)
    assert not LINKS.opens(*parts(LINKS.link("", PACKAGE)))


@pytest.mark.parametrize("wrong", [("", ""), ("x", "y"), ("-1", "é"), ("9" * 5000, "")])
def test_garbage_opens_nothing(wrong: tuple[str, str]) -> None:
    assert not LINKS.opens(PACKAGE, *wrong)


def test_another_machines_links_open_nothing() -> None:
    other = Downloads(MachineKey(bytes(31) + b"\1"))
    assert not LINKS.opens(*parts(other.link("", PACKAGE)))
