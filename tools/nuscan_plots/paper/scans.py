"""All scans behind the figures, with their profiles, limits and contours."""

from __future__ import annotations

import shlex
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .. import surface
from ..draw import mass_curve
from ..errors import NuscanError
from ..surface import MassCurve, Surface
from . import places
from .program import Program, side_by_side

PAPER = ("xenonnt_sr0", "lz_ws2022_arxiv2208")
"""The experiments as the paper analysed them."""
EXPERIMENTS = (*PAPER, "lz_ws2022")
CL = "0.9"
LAMBDA_PLANES = (("Lambda_1", "Lambda_2"), ("Lambda_1", "Lambda_3"), ("Lambda_2", "Lambda_3"))
QUICK_NODES = {1: 1001, 2: 121, 3: 61}
"""Nodes per axis of a coarse run, by the number of axes."""


@dataclass(frozen=True)
class Scan:
    """One grid for one experiment."""

    grid: Path
    experiment: str
    output: Path
    axes: tuple[str, ...]
    points: int

    @property
    def name(self) -> str:
        return f"{self.grid.stem} {self.experiment}"


@dataclass(frozen=True)
class Finished:
    """A scan that is done. `seconds`: for all its commands; of one used again those of the scan, as its file says."""

    scan: Scan
    seconds: float
    reused: bool = False


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def plan(folder: Path, quick: bool) -> list[Scan]:
    """Every scan of a run, the longest first, so that none is left alone at the end."""
    scans: list[Scan] = []
    for grid in sorted(places.GRIDS.glob("*.toml")):
        definition = tomllib.loads(grid.read_text(encoding="utf-8"))
        if "axes" not in definition:
            continue
        axes = definition["axes"]
        points = 1
        for axis in axes.values():
            points *= min(axis["n"], QUICK_NODES[len(axes)]) if quick else axis["n"]
        scans += [
            Scan(grid, experiment, folder / experiment / f"{grid.stem}.h5", tuple(axes), points) for experiment in EXPERIMENTS
        ]
    # LZ has three pulls to fit at every point, XENONnT a closed form.
    return sorted(scans, key=lambda scan: scan.points * (1 if scan.experiment == "xenonnt_sr0" else 3), reverse=True)


def derived(found: Surface) -> bool:
    """Whether a file holds everything that the figures need."""
    match len(found.axes):
        case 1:
            return bool(found.limits)
        case 3:
            return all(",".join(kept) in found.profiles and found.profiles[",".join(kept)].contours for kept in LAMBDA_PLANES)
        case _:
            return bool(found.contours)


def derive(program: Program, scan: Scan) -> None:
    """Profiles, limits and contours of a finished scan."""
    output = str(scan.output)
    if len(scan.axes) == 3:
        for kept in LAMBDA_PLANES:
            program.run("limits", output, "--keep", *kept, "--cl", CL)
    else:
        program.run("limits", output, "--cl", CL)


def modified(path: Path) -> int | None:
    """When a file was last written; None where there is none. A finished scan that is asked for again leaves its file alone."""
    return path.stat().st_mtime_ns if path.exists() else None


def run_one(program: Program, scan: Scan, quick: bool, restart: bool) -> tuple[float, bool]:
    """Runs a scan and what is derived from it; returns seconds (of the scan itself where it was there) and whether it was there."""
    begin = time.monotonic()
    scan.output.parent.mkdir(parents=True, exist_ok=True)
    arguments = [str(scan.grid), "--experiment", scan.experiment, "-o", str(scan.output), "--threads", "1"]
    if quick:
        arguments += ["--nodes", str(QUICK_NODES[len(scan.axes)])]
    if restart:
        arguments += ["--restart"]
    before = modified(scan.output)
    try:
        program.run("scan", *arguments)
        there = before is not None and modified(scan.output) == before
        found = surface.load(scan.output)
        if not there or not derived(found):
            derive(program, scan)
            there = False
    except NuscanError as error:
        if before is None:
            raise
        # It may be damaged, of another program or of other data: whatever it is, one file in the way is no reason to lose the others.
        raise NuscanError(f"{error}; if it cannot be mended, delete this one file and start again: rm {shlex.quote(str(scan.output))}") from error
    return (float(found.meta["wall_time_s"]) if there else time.monotonic() - begin), there


def run_all(program: Program, folder: Path, quick: bool, restart: bool) -> list[Finished]:
    """Runs what is not there yet; one line of progress for each."""
    scans = plan(folder, quick)
    done = 0

    def run(scan: Scan) -> Finished:
        nonlocal done
        seconds, there = run_one(program, scan, quick, restart)
        done += 1
        say(f"[{done}/{len(scans)}] {scan.name}: {'already finished' if there else f'{scan.points} points, {seconds:.1f} s'}")
        return Finished(scan, seconds, there)

    return side_by_side(scans, run)


class Surfaces:
    """The finished surfaces of a run, by name of the grid and experiment; each file is opened once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[tuple[str, str], Surface] = {}

    def __call__(self, grid: str, experiment: str) -> Surface:
        key = (grid, experiment)
        if key not in self._loaded:
            self._loaded[key] = surface.load(self._folder / experiment / f"{grid}.h5")
        return self._loaded[key]

    def curve(self, mediator: str, experiment: str, definition: str = "per_mass") -> MassCurve:
        """Limit against mass of a mediator, by its word: "vector", "axial_vector"."""
        return mass_curve(self(f"fig6_{mediator}", experiment), definition=definition)
