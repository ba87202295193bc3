"""What somebody wrote, as a message shows it: on one line, and short however long it is."""

from __future__ import annotations

#: characters of a value that a message shows
MOST_SHOWN = 80
#: whole numbers beyond this are not written out: thousands of digits would not even be converted
_MOST_NUMBER = 10**30


def quoted(value: object) -> str:
    """The `repr` of a value, its middle left out where that is long.

    >>> quoted("ni3"), len(quoted("a" * 10**6))
    ("'ni3'", 80)
    """
    if isinstance(value, str) and len(value) > 2 * MOST_SHOWN:
        value = value[:MOST_SHOWN] + value[-MOST_SHOWN:]
    elif isinstance(value, int) and abs(value) > _MOST_NUMBER:
        return f"a whole number of {value.bit_length()} bits"
    return shortened(_repr(value))


def shortened(text: str) -> str:
    """A text with its middle left out where it is long."""
    half = (MOST_SHOWN - 5) // 2
    return text if len(text) <= MOST_SHOWN else f"{text[:half]} ... {text[-half:]}"


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8; half of a surrogate pair is no character."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(value: str) -> str:
    """The same, with what is no character written as an escape, so that it can be shown and stored."""
    return value.encode(errors="backslashreplace").decode()


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number with too many digits
        return type(value).__name__
