"""Properties are tried with the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

settings.load_profile("ci")
