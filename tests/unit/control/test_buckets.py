"""Packages out of local buckets."""

from __future__ import annotations

from pathlib import Path

import pytest

from microfaas.control import buckets
from microfaas.errors import ServiceError


@pytest.fixture
def known(tmp_path: Path) -> dict[str, str]:
    bucket = tmp_path / "bucket"
    (bucket / "deep").mkdir(parents=True)
    (bucket / "deep" / "code.zip").write_bytes(b"12345")
    (tmp_path / "secret").write_bytes(b"secret")
    (bucket / "link").symlink_to(tmp_path / "secret")
    return {"mine": str(bucket)}


def test_an_object_is_read(known: dict[str, str]) -> None:
    assert buckets.read(known, "mine", "deep/code.zip", 5) == b"12345"


@pytest.mark.parametrize("key", ["deep", "none", "../secret", "/etc/passwd", "link", "", "."])
def test_what_is_no_file_in_it_is_no_key(known: dict[str, str], key: str) -> None:
    with pytest.raises(ServiceError, match="S3 Error Code: NoSuchKey") as caught:
        buckets.read(known, "mine", key, 5)
    assert caught.value.kind == "InvalidParameterValueException"


def test_another_bucket_is_not_there(known: dict[str, str]) -> None:
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        buckets.read(known, "other", "deep/code.zip", 5)


def test_it_may_be_too_large(known: dict[str, str]) -> None:
    with pytest.raises(ServiceError, match="must be smaller than 4 bytes"):
        buckets.read(known, "mine", "deep/code.zip", 4)
