"""How far uncertain inputs move the limits: each input changed on its own, all limits computed again."""

from __future__ import annotations

from dataclasses import dataclass

from .. import quantities
from .program import Program, side_by_side
from .scans import EXPERIMENTS
from .table1 import Limit, limits_of


@dataclass(frozen=True)
class Variation:
    """One input changed. `options`: for `nuscan limits`."""

    text: str
    options: tuple[str, ...]
    experiments: tuple[str, ...] = EXPERIMENTS
    """Those that it concerns."""


LZ = tuple(experiment for experiment in EXPERIMENTS if experiment.startswith("lz_"))
# The option K replaces the resolution of every experiment; the number quoted is that of LZ.

VARIATIONS = (
    Variation("P<sub>e1</sub> = 0.667 &minus; 0.017", ("--constant", "P_e1=0.650")),
    Variation("P<sub>e1</sub> = 0.667 + 0.017", ("--constant", "P_e1=0.684")),
    Variation("P<sub>e1</sub> adiabatic, for each energy", ("--transition-survival", "adiabatic")),
    Variation("K = 0.323 &minus; 0.001 keV<sup>1/2</sup> (resolution of LZ)", ("--constant", "K=0.322"), LZ),
    Variation("K = 0.323 + 0.001 keV<sup>1/2</sup> (resolution of LZ)", ("--constant", "K=0.324"), LZ),
    Variation("solar model AGSS09met instead of GS98", ("--solar", "agss09met")),
    Variation("oscillation parameters of NuFIT 5.2", ("--oscillation", "nufit52")),
    Variation(
        "sin<sup>2</sup>&theta;<sub>W</sub> = 0.2312 (at M<sub>Z</sub>) instead of 0.23857", ("--constant", "s_W2=0.2312"),
    ),
    Variation("binding energy of 3d<sub>5/2</sub> 694.9 eV instead of 649.9 eV", ("--shells", "hf_corrected")),
)


@dataclass(frozen=True)
class Shift:
    """Largest relative change, with sign, of an end of a limit, and the end that has it: that of a piece, where there are several."""

    change: float
    parameter: str
    end: str


@dataclass(frozen=True)
class Reshaped:
    """A limit whose pieces split or merge, or that becomes marginal or is so no longer."""

    before: Limit
    after: Limit

    @property
    def parameter(self) -> str:
        return self.before.parameter

    @property
    def what(self) -> str:
        """In a word or two."""
        if self.after.pieces != self.before.pieces:
            return "splits" if self.after.pieces > self.before.pieces else "merges"
        return "becomes marginal" if self.after.marginal else "no longer marginal"


@dataclass(frozen=True)
class Effect:
    """What one variation does to one experiment. `shifts`: the largest of each parameter."""

    variation: Variation
    experiment: str
    shifts: dict[str, Shift]
    reshaped: tuple[Reshaped, ...] = ()

    def of_family(self, family: str) -> Shift | None:
        """The largest shift in a family of parameters (mu, Lambda, q, r2, a)."""
        found = [shift for shift in self.shifts.values() if quantities.family(shift.parameter) == family]
        return max(found, key=lambda shift: abs(shift.change), default=None)


def largest_shifts(before: dict[str, Limit], after: dict[str, Limit]) -> dict[str, Shift]:
    """The largest relative change of an end of every limit. Ends of pieces count where there are as many as before."""
    found: dict[str, Shift] = {}
    for name, limit in before.items():
        other = after[name]
        ends = [("lower", limit.lower, other.lower), ("upper", limit.upper, other.upper)]
        if limit.pieces == other.pieces:
            for number, (old_gap, new_gap) in enumerate(zip(limit.gaps, other.gaps, strict=True), start=1):
                ends += [(f"upper end of piece {number}", old_gap[0], new_gap[0]), (f"lower end of piece {number + 1}", old_gap[1], new_gap[1])]
        for end, old, new in ends:
            if old is None or new is None:
                continue
            change = new / old - 1.0
            if name not in found or abs(change) > abs(found[name].change):
                found[name] = Shift(change, name, end)
    return found


def all_reshaped(before: dict[str, Limit], after: dict[str, Limit]) -> tuple[Reshaped, ...]:
    """Limits that change in more than the place of their ends."""
    pairs = [Reshaped(limit, after[name]) for name, limit in before.items()]
    return tuple(pair for pair in pairs if (pair.before.pieces, pair.before.marginal) != (pair.after.pieces, pair.after.marginal))


def compute(program: Program, central: dict[str, dict[str, Limit]]) -> list[Effect]:
    """All variations for all experiments. `central`: limits with the inputs as they are, by experiment and parameter."""
    tasks = [(variation, experiment) for variation in VARIATIONS for experiment in variation.experiments]

    def effect(task: tuple[Variation, str]) -> Effect:
        variation, experiment = task
        before = central[experiment]
        after = limits_of(program.json("limits", "--experiment", experiment, *variation.options))
        return Effect(variation, experiment, largest_shifts(before, after), all_reshaped(before, after))

    return side_by_side(tasks, effect)
