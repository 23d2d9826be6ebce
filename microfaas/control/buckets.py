"""Packages out of local buckets: the folders that bucket triggers follow."""

from __future__ import annotations

import os
from collections.abc import Mapping

from microfaas.errors import ServiceError


def read(buckets: Mapping[str, str], bucket: str, key: str, bytes_max: int) -> bytes:
    """An object. Blocking. Raises ServiceError in Lambda's words."""
    if bucket not in buckets:
        raise _refused("NoSuchBucket", "The specified bucket does not exist")
    root = os.path.realpath(buckets[bucket])
    path = os.path.realpath(os.path.join(root, key))
    if not path.startswith(os.path.join(root, "")) or not os.path.isfile(path):
        raise _refused("NoSuchKey", "The specified key does not exist.")
    try:
        with open(path, "rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise _refused("AccessDenied", error.strerror or str(error)) from None
    if len(data) > bytes_max:
        text = f"Zipped size must be smaller than {bytes_max} bytes"
        raise ServiceError("InvalidParameterValueException", text)
    return data


def _refused(code: str, text: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValueException",
        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {text}",
    )
