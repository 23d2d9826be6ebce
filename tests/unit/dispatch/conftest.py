"""What the dispatcher's tests run by."""

from __future__ import annotations

from hypothesis import settings

settings.load_profile("ci")
