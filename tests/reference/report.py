"""The table that parity ends in: printed as it grows, and once more as Markdown for docs/numbers.md."""

import importlib.metadata
import platform
from dataclasses import dataclass

import numpy as np
from reference import ratio

HEAD = ["case", "device", "output", "max abs difference", "max abs value", "ratio", "bar", ""]
WIDTHS = [38, 9, 20, 18, 13, 9, 7, 6]


@dataclass
class Row:
    case: str
    device: str
    output: str
    difference: float
    size: float
    bar: float

    @property
    def ratio(self) -> float:
        return self.difference / self.size if self.size else self.difference

    @property
    def ok(self) -> bool:
        return self.ratio <= self.bar

    def cells(self) -> list[str]:
        numbers = [f"{self.difference:.2e}", f"{self.size:.4g}", f"{self.ratio:.1e}", f"{self.bar:.0e}"]
        return [self.case, self.device, self.output, *numbers, "ok" if self.ok else "MISSED"]


class Report:
    def __init__(self, bar: float):
        self.bar = bar
        self.rows: list[Row] = []
        print(aligned(HEAD))

    def compare(self, case: str, device: str, expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
        """One row: the output that is furthest off. An output that is absent is infinitely off."""
        absent = np.empty(0, np.float32)
        rows = [Row(case, device, name, *ratio(found.get(name, absent), value), self.bar)
                for name, value in expected.items()]  # fmt: skip
        self.add(max(rows, key=lambda row: row.ratio))

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(aligned(row.cells()), flush=True)

    def finish(self) -> int:
        missed = sum(not row.ok for row in self.rows)
        print(f"{len(self.rows)} rows, {missed} missed")
        return 1 if missed else 0

    def markdown(self) -> str:
        packages = ("transformers", "torch", "timm")
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
        table = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in self.rows)]
        lines = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
        return f"Against {versions} on {platform.machine()}; each row shows the output that fits worst.\n\n{lines}\n"


def aligned(cells: list[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS)).rstrip()
