"""What a check of the machine says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "warn", "fail"]

PACKAGE = "dfcnn-ms"


@dataclass(frozen=True)
class CheckResult:
    """What one check says.

    Attributes:
        mark: ``ok``; ``warn``: training can start all the same; ``fail``: it cannot.
        check: what was looked at, in a word.
        says: what was found.
        cure: what to do about it; empty when all is well.
    """

    mark: Mark
    check: str
    says: str
    cure: str = ""

    def __str__(self) -> str:
        cure = f"; cure: {self.cure}" if self.cure else ""
        return f"{self.mark:<4}  {self.check:<12} {self.says}{cure}"
