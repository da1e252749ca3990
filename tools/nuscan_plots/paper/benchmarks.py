"""Spectra of Fig. 1: the Standard Model and the benchmark points that grids/paper/fig1_*.toml name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from .. import quantities
from ..errors import NuscanError
from ..spectra import Spectrum, from_json
from . import places
from .program import Program, side_by_side


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A point of new physics: values by parameter, and its spectrum."""

    values: dict[str, float]
    spectrum: Spectrum
    at_limit: str | None
    """The coupling that was set to its own limit."""

    @property
    def label(self) -> str:
        """For a legend, with mathtext."""
        if self.at_limit is None:
            units = {"mu": "mu_B", "q": "e", "r2": "cm^2", "a": "cm^2", "Lambda": "mu_B"}
            return ", ".join(
                quantities.value_tex(name, value, units.get(quantities.family(name), "MeV"))
                for name, value in self.values.items()
            )
        kind = quantities.MEDIATORS[self.at_limit.removeprefix("g_")]
        return f"{kind}, {quantities.value_tex(self.at_limit, self.values[self.at_limit], '1', computed=True)}"


@dataclass(frozen=True, eq=False)
class Panel:
    """One experiment of Fig. 1. `energy`: range in keV."""

    title: str
    experiment: str
    energy: tuple[float, float]
    benchmarks: list[Benchmark]

    @property
    def standard_model(self) -> Spectrum:
        return self.benchmarks[0].spectrum


def settings(values: dict[str, float]) -> list[str]:
    """Values as arguments of nuscan."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value!r}")]


def limit_of_coupling(program: Program, experiment: str, coupling: str, values: dict[str, float]) -> float:
    """The 90% C.L. limit of a coupling where the other parameters have these values."""
    answer = program.json("limits", "--experiment", experiment, "--parameter", coupling, *settings(values))
    upper = answer["limits"][0]["intervals"][-1][1]
    if upper is None:
        raise NuscanError(f"nuscan limits: {experiment} does not limit {coupling} at {values}; choose another benchmark")
    return float(upper)


def compute(program: Program) -> list[Panel]:
    """All panels, in the order of the files' names and of the experiments in them."""
    wanted = []
    for path in sorted(places.GRIDS.glob("fig1_*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for experiment in content["spectra"]["experiments"]:
            wanted.append((content["spectra"], experiment, content["benchmark"]))

    def panel(task: tuple[dict[str, Any], str, list[dict[str, Any]]]) -> Panel:
        spectra, experiment, points = task
        found = []
        for point in points:
            values = {name: float(value) for name, value in point["set"].items()}
            coupling = point.get("at_limit")
            if coupling is not None:
                values[coupling] = limit_of_coupling(program, experiment, coupling, values)
            answer = program.json("spectrum", "--experiment", experiment, *settings(values))
            found.append(Benchmark(values, from_json(answer), coupling))
        low, high = spectra["energy_keV"]
        return Panel(spectra["title"], experiment, (float(low), float(high)), found)

    return side_by_side(wanted, panel)
