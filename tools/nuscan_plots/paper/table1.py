"""Limits beside those of Table I of arXiv:2208.06415."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..published import PaperLimit
from ..quantities import customary
from ..surface import Intervals

COLUMNS = (
    "experiment", "parameter", "paper_lower", "paper_upper", "nuscan_lower", "nuscan_upper", "ratio_lower", "ratio_upper",
    "verdict", "kind", "unit", "grid_lower", "grid_upper", "grid_agreement", "note",
)  # fmt: skip
TOLERANCE = 0.03
"""Relative, of the comparison with printed limits: what rounding and unpublished details of the paper's analysis leave open."""
GRID_TOLERANCE = 0.002
"""Relative: limits read off a grid, interpolated between its nodes, against those found by root finding."""


@dataclass(frozen=True)
class Limit:
    """Allowed values of a parameter in its own unit; an end is None where there is none: the bound 0, or no limit."""

    parameter: str
    unit: str
    best_fit: float
    lower: float | None
    upper: float | None
    gaps: tuple[tuple[float, float], ...] = ()
    """Excluded stretches between allowed pieces, ascending."""
    marginal: bool = False

    @property
    def pieces(self) -> int:
        """Number of allowed intervals."""
        return len(self.gaps) + 1

    @property
    def intervals(self) -> list[tuple[float | None, float | None]]:
        """The allowed pieces, ascending."""
        lows = (self.lower, *(end for _, end in self.gaps))
        return list(zip(lows, (*(begin for begin, _ in self.gaps), self.upper), strict=True))

    @property
    def width(self) -> float:
        """Length of what is allowed; without a lower end it starts at the bound 0."""
        whole = (self.upper if self.upper is not None else float("inf")) - (self.lower or 0.0)
        return whole - sum(end - begin for begin, end in self.gaps)

    @property
    def largest(self) -> float:
        """Largest absolute value allowed."""
        return max(abs(end) if end is not None else 0.0 for end in (self.lower, self.upper))


@dataclass(frozen=True)
class Row:
    """A published limit beside the computed one and the one read off the grid."""

    paper: PaperLimit
    limit: Limit
    grid: Limit | None
    tolerance: float = TOLERANCE

    @property
    def ratio_lower(self) -> float | None:
        return _ratio(self.limit.lower, self.paper.lower)

    @property
    def ratio_upper(self) -> float | None:
        return _ratio(self.limit.upper, self.paper.upper_reference)

    @property
    def verdict(self) -> str:
        """"ok" if every printed end is met within the tolerance, else "off"."""
        ends = ((self.paper.lower, self.ratio_lower), (self.paper.upper_reference, self.ratio_upper))
        for printed, ratio in ends:
            if printed is not None and (ratio is None or not abs(ratio - 1.0) <= self.tolerance):
                return "off"
        return "ok"

    @property
    def grid_agreement(self) -> float | None:
        """Largest relative difference between the limit of the grid and that of the root finding; None without a grid."""
        return None if self.grid is None else difference(self.grid, self.limit)

    @property
    def note(self) -> str:
        notes = []
        if self.paper.compare_with is not None:
            unit = customary(self.paper.parameter)
            notes.append(
                f"misprint in the paper: {(self.paper.upper or 0.0) / unit:.2f} is compared as {self.paper.compare_with / unit:.2f} "
                f"({self.paper.note})"
            )
        if self.limit.pieces > 1:
            notes.append(f"{self.limit.pieces} intervals")
        if self.limit.marginal:
            notes.append("marginal: chi^2 comes within 0.02 of the threshold between the ends")
        return "; ".join(notes)


def _ratio(value: float | None, printed: float | None) -> float | None:
    return None if value is None or printed is None else value / printed


def difference(grid: Limit, limit: Limit) -> float:
    """Largest relative difference of the ends of two limits, those of their pieces included; infinite where only one of them has an
    end or piece. Where both are marginal they may differ in their pieces: chi^2 only just touches the threshold there."""
    worst = 0.0
    ends = [(grid.lower, limit.lower), (grid.upper, limit.upper)]
    if grid.pieces == limit.pieces:
        ends += [pair for read, found in zip(grid.gaps, limit.gaps, strict=True) for pair in zip(read, found, strict=True)]
    elif not (grid.marginal and limit.marginal):
        return float("inf")
    for read, found in ends:
        if (read is None) != (found is None):
            return float("inf")
        if read is not None and found is not None:
            worst = max(worst, abs(read / found - 1.0))
    return worst


def limits_of(answer: dict[str, Any]) -> dict[str, Limit]:
    """Limits by parameter, from what `nuscan limits --json` prints."""
    found: dict[str, Limit] = {}
    for entry in answer["limits"]:
        pieces = entry["intervals"]
        ends = (pieces[0][0], pieces[-1][1]) if pieces else (None, None)
        gaps = tuple((before[1], after[0]) for before, after in pairwise(pieces))
        name = entry["parameter"]
        found[name] = Limit(name, entry["unit"], entry["best_fit"], *ends, gaps, entry["marginal"])
    return found


def limit_of_grid(stored: Intervals) -> Limit:
    """A limit that a surface holds. Ends that are only an edge of the grid or the bound 0 are none."""
    ends: list[float | None] = [None, None]
    if len(stored.intervals):
        for side, row in ((0, 0), (1, -1)):
            if stored.open[row, side] == 0:
                ends[side] = float(stored.intervals[row, side])
    gaps = tuple((float(before[1]), float(after[0])) for before, after in pairwise(stored.intervals))
    return Limit(stored.parameter, stored.unit, stored.best_fit, ends[0], ends[1], gaps, stored.marginal)


def compare(
    published: list[PaperLimit],
    limits: dict[str, dict[str, Limit]],
    grids: dict[tuple[str, str], Limit],
) -> list[Row]:
    """A row for every printed limit.

    Args:
        published: Table I of the paper; rows without a printed limit are left out.
        limits: computed limits by experiment and parameter.
        grids: limits read off the grids, by (experiment, parameter); may lack some.
    """
    return [
        Row(paper, limits[paper.experiment][paper.parameter], grids.get((paper.experiment, paper.parameter)))
        for paper in published
        if paper.upper is not None
    ]


def write_csv(path: Path, rows: list[Row]) -> None:
    """Writes the table, limits in the parameters' own units; what there is none of stays empty."""

    def number(value: float | None, digits: str = ".6g") -> str:
        return "" if value is None else f"{value:{digits}}"

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            grid = row.grid
            writer.writerow(
                [
                    row.paper.experiment,
                    row.paper.parameter,
                    number(row.paper.lower),
                    number(row.paper.upper),
                    number(row.limit.lower),
                    number(row.limit.upper),
                    number(row.ratio_lower, ".4f"),
                    number(row.ratio_upper, ".4f"),
                    row.verdict,
                    row.paper.kind,
                    row.paper.unit,
                    number(grid.lower if grid else None),
                    number(grid.upper if grid else None),
                    number(row.grid_agreement, ".2e"),
                    row.note,
                ]
            )
