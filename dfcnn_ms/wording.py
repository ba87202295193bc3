"""Counts and their nouns, for people."""

from __future__ import annotations


def plural(noun: str) -> str:
    """``syllables``, ``classes``."""
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def many(count: int, noun: str, space: str = " ") -> str:
    """``1 line``, ``1,200 lines``; ``space`` stands between the two."""
    return f"{count:,}{space}{noun if count == 1 else plural(noun)}"
