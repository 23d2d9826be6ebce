"""The project of the end-to-end tests, whose server is attacked here."""

from tests.e2e.conftest import project

__all__ = ["project"]
