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
    """Largest relative change of a family of limits (mu, Lambda, q, r2, a), with sign, and the end that has it."""

    change: float
    parameter: str
    end: str


@dataclass(frozen=True)
class Effect:
    """What one variation does to one experiment: a shift by family."""

    variation: Variation
    experiment: str
    shifts: dict[str, Shift]


def largest_shifts(before: dict[str, Limit], after: dict[str, Limit]) -> dict[str, Shift]:
    """The largest relative change of an end in every family of parameters."""
    found: dict[str, Shift] = {}
    for name, limit in before.items():
        family = quantities.family(name)
        for end, old, new in (("lower", limit.lower, after[name].lower), ("upper", limit.upper, after[name].upper)):
            if old is None or new is None:
                continue
            change = new / old - 1.0
            if family not in found or abs(change) > abs(found[family].change):
                found[family] = Shift(change, name, end)
    return found


def compute(program: Program, central: dict[str, dict[str, Limit]]) -> list[Effect]:
    """All variations for all experiments. `central`: limits with the inputs as they are, by experiment and parameter."""
    tasks = [(variation, experiment) for variation in VARIATIONS for experiment in variation.experiments]

    def effect(task: tuple[Variation, str]) -> Effect:
        variation, experiment = task
        changed = limits_of(program.json("limits", "--experiment", experiment, *variation.options))
        return Effect(variation, experiment, largest_shifts(central[experiment], changed))

    return side_by_side(tasks, effect)
