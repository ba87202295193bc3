"""Counts and their nouns, for people; and what is said of lines that nobody can read."""

from __future__ import annotations

from collections.abc import Sequence

#: what helps where a line cannot be read
SKIPPING = "--skip-unreadable leaves such lines out"


def plural(noun: str) -> str:
    """``syllables``, ``classes``."""
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def many(count: int, noun: str, space: str = " ") -> str:
    """``1 line``, ``1,200 lines``; ``space`` stands between the two."""
    return f"{count:,}{space}{noun if count == 1 else plural(noun)}"


def unread(errors: Sequence[Exception]) -> str:
    """How many lines were left out, and what was wrong with the first."""
    return f"lines left out because they cannot be read: {len(errors)}; the first: {errors[0]}"
