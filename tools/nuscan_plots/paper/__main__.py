"""Computes the figures and limits of arXiv:2208.06415 anew; see --help."""

from __future__ import annotations

import argparse
import resource
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import quantities
from ..errors import NuscanError
from ..published import PublishedError, data_folder, load_curves, load_limits, load_paper_table1
from ..spectra import from_json
from ..surface import Intervals
from . import benchmarks, figures, places, report, scans, statements, table1, uncertainties
from .program import Program, side_by_side
from .scans import EXPERIMENTS, PAPER, Surfaces, say
from .table1 import Limit

GRIDS_OF_PROFILES = {
    **{f"mu_{f}": f"fig2_mu_{f}" for f in figures.FLAVOURS},
    "mu_universal": "table1_mu_universal",
    **{f"Lambda_{i}": f"table1_lambda_{i}" for i in (1, 2, 3)},
    **{f"{kind}_{f}": f"fig4_{kind}_{f}" for kind in ("q", "r2") for f in figures.FLAVOURS},
    **{f"a_{f}": f"fig8_a_{f}" for f in figures.FLAVOURS},
}
"""The scan of one axis that holds a parameter's limit."""


class Clock:
    """Runs the stages of a run, says what begins, and keeps the wall time of each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begin = time.monotonic()

    def stage(self, name: str, work: Callable[[], Any]) -> Any:
        say(f"== {name}")
        begin = time.monotonic()
        result = work()
        self.seconds[name] = time.monotonic() - begin
        return result

    def total(self) -> float:
        return time.monotonic() - self._begin


def limits_by_root_finding(program: Program) -> tuple[dict[str, dict[str, Limit]], dict[str, dict[str, Limit]]]:
    """Limits of each experiment, and of XENONnT together with each LZ experiment (by the name of the latter)."""
    partners = [experiment for experiment in EXPERIMENTS if experiment != PAPER[0]]
    fits = [(experiment,) for experiment in EXPERIMENTS] + [(PAPER[0], partner) for partner in partners]
    answers = side_by_side(fits, lambda fit: table1.limits_of(program.json("limits", "--experiment", *fit)))
    alone = dict(zip(EXPERIMENTS, answers[: len(EXPERIMENTS)], strict=True))
    return alone, dict(zip(partners, answers[len(EXPERIMENTS) :], strict=True))


def limits_of_grids(surfaces: Surfaces) -> dict[tuple[str, str], Limit]:
    """Limits that the scans of one axis hold, by experiment and parameter."""
    found = {}
    for parameter, grid in GRIDS_OF_PROFILES.items():
        for experiment in EXPERIMENTS:
            for by_parameter in surfaces(grid, experiment).limits.values():
                stored = by_parameter.get(parameter)
                if isinstance(stored, Intervals):
                    found[experiment, parameter] = table1.limit_of_grid(stored)
    return found


def sm_events(program: Program, *options: str) -> dict[str, float]:
    """Standard Model neutrino events of each experiment."""
    answers = side_by_side(list(EXPERIMENTS), lambda name: program.json("spectrum", "--experiment", name, *options))
    return {name: from_json(answer).sm_events() for name, answer in zip(EXPERIMENTS, answers, strict=True)}


def collaboration_events() -> dict[str, float]:
    """The collaborations' own counts."""
    path = data_folder() / "published" / "checks.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["collaboration_sm_counts"]


def hashes(metas: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """SHA-256 of every data file that any of the scans used."""
    found: dict[str, set[str]] = {}
    for meta in metas.values():
        for name, digest in meta["data_sha256"].items():
            if name != "NX_class":
                found.setdefault(name, set()).add(digest)
    return found


def run(output: Path, quick: bool, restart: bool) -> bool:
    """Everything; returns whether all printed limits are met and the grids agree with them."""
    places.require_grids()
    program = Program(places.program())
    identity = program.identity()
    published, others, curves = load_paper_table1(), load_limits(), load_curves()
    if output.exists() and not output.is_dir():
        raise NuscanError(f"{output}: is a file; give a folder with -o")
    output.mkdir(parents=True, exist_ok=True)
    clock = Clock()

    # The coarse surfaces have a folder of their own, so that a full run later does not meet them.
    folder = output / ("scans-quick" if quick else "scans")
    finished = clock.stage("scans", lambda: scans.run_all(program, folder, quick, restart))
    surfaces = Surfaces(folder)
    alone, combined = clock.stage("limits by root finding", lambda: limits_by_root_finding(program))
    panels = clock.stage("spectra", lambda: benchmarks.compute(program))
    effects = clock.stage("uncertain inputs", lambda: uncertainties.compute(program, alone))
    drawn = clock.stage("figures", lambda: figures.make_all(figures.Run(folder, panels, curves), output / "figures"))

    numbers = statements.Numbers(
        alone,
        combined,
        sm_events(program),
        sm_events(program, "--electrons", "rrpa"),
        collaboration_events(),
        others,
        {
            (kind, experiment): surfaces.curve(word.replace(" ", "_"), experiment)
            for kind, word in quantities.MEDIATORS.items()
            for experiment in EXPERIMENTS
        },
        curves,
    )
    grids = limits_of_grids(surfaces)
    rows = table1.compare(published, alone, grids)
    table1.write_csv(output / "table1.csv", rows)
    clock.seconds["all"] = clock.total()
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    metas = {done.scan.name: surfaces(done.scan.grid.stem, done.scan.experiment).meta for done in finished}
    made = report.Report(
        rows,
        numbers,
        grids,
        statements.check_all(numbers),
        effects,
        drawn,
        finished,
        clock.seconds,
        identity,
        metas,
        hashes(metas),
        quick,
        usage / 2**20,
    )
    (output / "report.html").write_text(report.page(made), encoding="utf-8")
    return conclude(output, made)


def conclude(output: Path, made: report.Report) -> bool:
    """Says how it went; the verdict of the run."""
    off = [row for row in made.rows if row.verdict != "ok"]
    for row in off:
        say(f"off: {row.paper.parameter}, {row.paper.experiment}: ratios {row.ratio_lower} {row.ratio_upper}")
    differences = {key: table1.difference(grid, made.numbers.limits[key[0]][key[1]]) for key, grid in made.grids.items()}
    worst = max(differences, key=lambda key: differences[key])
    agree = len(differences) == len(GRIDS_OF_PROFILES) * len(EXPERIMENTS) and differences[worst] <= table1.GRID_TOLERANCE
    if not agree:
        say(f"off: grids and root finding differ by {differences[worst]:.1e} ({worst[1]}, {worst[0]})")
    verdicts = [statement.verdict for statement in made.statements]
    say(
        f"{len(made.rows) - len(off)} of {len(made.rows)} printed limits met; grids agree to {differences[worst]:.1e}; statements: "
        + ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    )
    say(f"{made.seconds['all']:.0f} s, largest process {made.peak_memory:.2f} GiB; see {output / 'report.html'}")
    return not off and agree


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/reproduce-paper",
        description="Scans every grid of grids/paper for XENONnT and LZ, draws Figs. 1 to 8 of arXiv:2208.06415, compares all limits with "
        "its Table I and writes a report. Uses build/release/nuscan, or the program that the environment variable NUSCAN names; "
        "installs and builds nothing. Scans that are finished already are used again.",
        epilog="example: tools/reproduce-paper --quick -o paper; exit codes: 0 all limits met, 1 some are off or something failed",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of figures, table1.csv and report.html")
    parser.add_argument("--quick", action="store_true", help="coarse planes and cubes, for a first look")
    parser.add_argument("--restart", action="store_true", help="run finished scans again")
    arguments = parser.parse_args()
    try:
        return 0 if run(arguments.output, arguments.quick, arguments.restart) else 1
    except (NuscanError, PublishedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or arguments.output}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
