"""Where a request says that a package is: in itself, or in a local bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from microfaas.control import buckets
from microfaas.errors import ServiceError

ZIPPED_BYTES_MAX = 52_428_800


async def package(code: Mapping[str, Any], known_buckets: Mapping[str, str]) -> bytes:
    """A package's bytes. Raises ServiceError."""
    if "ImageUri" in code:
        text = "microfaas runs deployment packages (ZipFile, S3Bucket and S3Key), and no images."
        raise ServiceError("InvalidParameterValueException", text)
    if "ZipFile" in code:
        if not code.keys().isdisjoint(("S3Bucket", "S3Key", "S3ObjectVersion")):
            text = "Please do not provide other FunctionCode parameters when providing a ZipFile."
            raise ServiceError("InvalidParameterValueException", text)
        data: bytes = code["ZipFile"]
        if len(data) > ZIPPED_BYTES_MAX:
            text = f"Zipped size must be smaller than {ZIPPED_BYTES_MAX} bytes"
            raise ServiceError("RequestEntityTooLargeException", text, status=413)
        return data
    if "S3Bucket" in code and "S3Key" in code:
        bucket, key = code["S3Bucket"], code["S3Key"]
        return await asyncio.to_thread(buckets.read, known_buckets, bucket, key, ZIPPED_BYTES_MAX)
    text = "Please provide a source for function code."
    raise ServiceError("InvalidParameterValueException", text)
