"""An Explorer whose messages are kept."""

import pytest

import attnwidget as aw
from tests.make import projected


@pytest.fixture
def view():
    explorer = aw.Explorer(projected())
    explorer.sent = []
    explorer.send = lambda content, buffers=None: explorer.sent.append((content, buffers or []))
    yield explorer
    explorer.close()
