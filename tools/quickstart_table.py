#!/usr/bin/env python3
"""Limits beside the published ones (Table I of arXiv:2208.06415), from the JSON files that tools/quickstart leaves behind."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

PUBLISHED = Path(__file__).resolve().parent.parent / "data" / "published"
REPRODUCED = "xenonnt_sr0"
FITTED = "lz_ws2022_arxiv2208"
OWN_EFFICIENCY = "lz_ws2022"
EXPERIMENTS = (REPRODUCED, FITTED, OWN_EFFICIENCY)
KINDS = {REPRODUCED: "reproduced", FITTED: "fitted", OWN_EFFICIENCY: "own efficiency"}

# Unit in which a parameter is printed: factor and text.
SCALES = {
    "mu": (1e-11, "1e-11 mu_B"),
    "Lambda": (1e-11, "1e-11 mu_B"),
    "q": (1e-13, "1e-13 e"),
    "r2": (1e-32, "1e-32 cm^2"),
    "a": (1e-32, "1e-32 cm^2"),
}


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


@dataclass
class Limit:
    """An interval of one parameter in its own unit; an end is None where there is none: at the bound 0 or without a limit."""

    lower: float | None
    upper: float | None
    pieces: list[list[float | None]] = field(default_factory=list)
    marginal: bool = False


@dataclass
class Published:
    """What the paper prints for one parameter of one experiment."""

    lower: float | None = None
    upper: float | None = None
    compare_with: float | None = None
    """Instead of `upper`, where that is a misprint."""
    note: str = ""

    @property
    def reference(self) -> float | None:
        return self.upper if self.compare_with is None else self.compare_with


def load_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError as error:
        fail(f"{path}: not JSON: {error}")


def load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: not TOML: {error}")


def load_limits(path: Path) -> dict[str, Limit]:
    limits: dict[str, Limit] = {}
    for entry in load_json(path)["limits"]:
        pieces = entry["intervals"]
        limits[entry["parameter"]] = Limit(pieces[0][0], pieces[-1][1], pieces, entry["marginal"])
    return limits


def load_published(path: Path) -> dict[tuple[str, str], Published]:
    published: dict[tuple[str, str], Published] = {}
    for entry in load_toml(path)["limit"]:
        published[entry["experiment"], entry["parameter"]] = Published(
            entry.get("paper_lower"),
            entry.get("paper_upper"),
            entry.get("compare_with"),
            entry.get("note", ""),
        )
    return published


def scale_of(parameter: str) -> tuple[float, str]:
    return SCALES[parameter.split("_")[0]]


def interval_text(lower: float | None, upper: float | None, unit: float, digits: int) -> str:
    if upper is None:
        return "no limit"
    high = f"{upper / unit:.{digits}f}"
    return f"< {high}" if lower is None else f"[{lower / unit:.{digits}f}, {high}]"


def limit_text(limit: Limit, unit: float, digits: int) -> str:
    return " or ".join(interval_text(lower, upper, unit, digits) for lower, upper in limit.pieces)


def ratios(limit: Limit, paper: Published) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    if paper.lower is not None and limit.lower is not None:
        found.append(("lower", limit.lower / paper.lower))
    if paper.reference is not None and limit.upper is not None:
        found.append(("upper", limit.upper / paper.reference))
    return found


def digits_of(parameter: str) -> int:
    """Decimals of nuscan's own numbers: one more than the paper prints."""
    return {"mu": 3, "Lambda": 3}.get(parameter.split("_")[0], 2)


def table(header: list[str], rows: list[list[str]], right: set[int]) -> list[str]:
    widths = [max(len(cells[i]) for cells in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    return [line(cells) for cells in [header, ["-" * width for width in widths], *rows]]


def paper_text(paper: Published, unit: float, digits: int) -> str:
    if paper.upper is None:
        return "-"
    return interval_text(paper.lower, paper.upper, unit, digits) + (
        " *" if paper.compare_with is not None else ""
    )


def note_text(limit: Limit) -> str:
    notes = []
    if len(limit.pieces) > 1:
        notes.append(f"{len(limit.pieces)} intervals")
    if limit.marginal:
        notes.append("marginal")
    return ", ".join(notes)


def limit_block(
    experiment: str, limits: dict[str, dict[str, Limit]], published: dict[tuple[str, str], Published]
) -> list[str]:
    """The table of one experiment; the one of LZ has the limits with LZ's own efficiency in a further column."""
    beside = experiment == FITTED
    header = ["parameter", "unit", "paper", "nuscan", "ratio", "note"]
    if beside:
        header.insert(5, "own efficiency")
    rows = []
    for parameter, limit in limits[experiment].items():
        unit, unit_text = scale_of(parameter)
        paper = published.get((experiment, parameter), Published())
        row = [
            parameter,
            unit_text,
            paper_text(paper, unit, digits_of(parameter) - 1),
            limit_text(limit, unit, digits_of(parameter)),
            " ".join(f"{ratio:.3f}" for _, ratio in ratios(limit, paper)) or "-",
            note_text(limit),
        ]
        if beside:
            other = limits[OWN_EFFICIENCY][parameter]
            row.insert(5, limit_text(other, unit, digits_of(parameter)))
            row[6] = ", ".join(
                filter(None, [row[6], note_text(other) and f"own efficiency: {note_text(other)}"])
            )
        rows.append(row)
    return table(header, rows, {2, 3, 4, 5} if beside else {2, 3, 4})


def worst(
    experiment: str, limits: dict[str, Limit], published: dict[tuple[str, str], Published]
) -> tuple[float, str]:
    """Largest deviation from the paper and where it is."""
    deviations = [
        (abs(ratio - 1.0), f"{parameter}, {side} bound")
        for parameter, limit in limits.items()
        for side, ratio in ratios(limit, published.get((experiment, parameter), Published()))
    ]
    return max(deviations)


def sm_counts(path: Path) -> float:
    """Standard Model events of a spectrum as `nuscan spectrum --json` gives it."""
    spectrum = load_json(path)
    total = sum(entry["signal_sm"] for entry in spectrum["bins"])
    return total if spectrum["unit"] == "events" else total * spectrum["exposure_t_yr"]


def count_block(results: Path) -> list[str]:
    collaboration = load_toml(PUBLISHED / "checks.toml")["collaboration_sm_counts"]
    header = ["experiment", "step function", "RRPA", "collaboration", "step/coll.", "RRPA/coll."]
    rows = []
    for experiment in EXPERIMENTS:
        own = sm_counts(results / f"spectrum_{experiment}.json")
        bound = sm_counts(results / f"spectrum_rrpa_{experiment}.json")
        name = experiment if experiment in collaboration else OWN_EFFICIENCY
        theirs = collaboration[name]
        error = collaboration.get(f"{name}_error")
        rows.append(
            [
                experiment,
                f"{own:.2f}",
                f"{bound:.2f}",
                f"{theirs:.1f}" + (f" +- {error:.1f}" if error is not None else ""),
                f"{own / theirs:.3f}",
                f"{bound / theirs:.3f}",
            ]
        )
    return table(header, rows, {1, 2, 3, 4, 5})


FITTED_TEXT = """
LZ WS2022 (lz_ws2022_arxiv2208): fitted. The efficiency that the paper used is not published; three numbers that
describe it were fitted to the paper's LZ limits, so agreement here is no test. 'own efficiency' is lz_ws2022, with the
efficiency that LZ published later: the one to use for physics.
"""

LEGEND_TEXT = """
ratio: nuscan / paper, for each end of an interval. marginal: chi^2 has a minimum or maximum within 0.02 of the
threshold, so that little would join, split or end an interval there.
"""

COUNTS_TEXT = """
step function: electrons count as free above their binding energy, as in the paper and in all limits above. RRPA:
corrected for their binding by a relativistic many-body calculation. XENONnT's number (1-30 keV, digitised from Fig. 4
of arXiv:2207.11330) agrees with the former, LZ's (arXiv:2207.03764) with the latter.
"""


def report(
    results: Path,
    limits: dict[str, dict[str, Limit]],
    published: dict[tuple[str, str], Published],
    tolerance: float,
) -> str:
    lines = ["90% C.L. limits, one parameter at a time, beside Table I of arXiv:2208.06415", ""]
    lines += ["XENONnT SR0 (xenonnt_sr0): reproduced, nothing is tuned", ""]
    lines += limit_block(REPRODUCED, limits, published)
    lines += FITTED_TEXT.splitlines() + [""]
    lines += limit_block(FITTED, limits, published)
    lines += LEGEND_TEXT.splitlines()
    for (experiment, parameter), paper in published.items():
        if paper.compare_with is not None:
            unit, unit_text = scale_of(parameter)
            lines.append(f"* {parameter} of {experiment}: a misprint, {paper.note};")
            lines.append(f"  the ratio is to {paper.compare_with / unit:.2f} ({unit_text}).")
    for experiment in (REPRODUCED, FITTED):
        deviation, where = worst(experiment, limits[experiment], published)
        lines.append(
            f"Largest deviation from the paper, {KINDS[experiment]}: {100 * deviation:.1f} % ({where}),"
            f" {'within' if deviation <= tolerance else 'OUTSIDE'} {100 * tolerance:.0f} %."
        )
    lines += ["", "Solar neutrino events of the Standard Model", ""]
    lines += count_block(results)
    lines += COUNTS_TEXT.splitlines()
    return "\n".join(lines) + "\n"


def write_csv(
    path: Path, limits: dict[str, dict[str, Limit]], published: dict[tuple[str, str], Published]
) -> None:
    """One row per end of every interval, in the parameter's own unit."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "experiment",
                "kind",
                "parameter",
                "unit",
                "interval",
                "bound",
                "paper",
                "compare_with",
                "nuscan",
                "ratio",
                "marginal",
            ]
        )
        for experiment, by_parameter in limits.items():
            for parameter, limit in by_parameter.items():
                paper = published.get((experiment, parameter), Published())
                ratio = dict(ratios(limit, paper))
                for index, piece in enumerate(limit.pieces):
                    for bound, value in zip(("lower", "upper"), piece, strict=True):
                        if value is None:
                            continue
                        outer = index == 0 if bound == "lower" else index == len(limit.pieces) - 1
                        printed = paper.lower if bound == "lower" else paper.upper
                        reference = paper.lower if bound == "lower" else paper.reference
                        writer.writerow(
                            [
                                experiment,
                                KINDS[experiment],
                                parameter,
                                scale_of(parameter)[1].split()[1],
                                index + 1,
                                bound,
                                printed if outer and printed is not None else "",
                                reference if outer and reference is not None else "",
                                f"{value:.8g}",
                                f"{ratio[bound]:.5f}" if outer and bound in ratio else "",
                                "yes" if limit.marginal else "no",
                            ]
                        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results",
        type=Path,
        help="folder with limits_*.json, spectrum_*.json and spectrum_rrpa_*.json; the tables go there",
    )
    arguments = parser.parse_args()
    results: Path = arguments.results

    table1 = PUBLISHED / "paper_table1.toml"
    published = load_published(table1)
    try:
        limits = {
            experiment: load_limits(results / f"limits_{experiment}.json") for experiment in EXPERIMENTS
        }
        text = report(results, limits, published, load_toml(table1)["tolerance_paper"])
    except (KeyError, IndexError, TypeError) as error:
        fail(f"{results}: the JSON files are not what nuscan writes ({type(error).__name__}: {error})")
    (results / "table1.txt").write_text(text, encoding="utf-8")
    write_csv(results / "table1.csv", limits, published)
    print(text, end="")


if __name__ == "__main__":
    main()
