"""What the tests of the server share: one that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running import Running, running


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """Syllables (`tones`, the first) and characters (`written`)."""
    with running() as one:
        yield one
