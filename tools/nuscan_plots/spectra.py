"""Binned spectra as `nuscan spectrum --json` prints them, and the error bars of counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ONE_SIGMA = math.erf(math.sqrt(0.5))
"""Probability within one standard deviation, 0.6827."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Contents of the bins of an experiment at one point.

    `edges` in keV of reconstructed energy; all contents per bin in `unit`, "events" or "1/(t yr)". `signal` is everything that
    neutrinos do at the point, `signal_sm` what they do in the Standard Model; no pulls are applied. `exposure` in t yr.
    """

    experiment: str
    unit: str
    exposure: float
    edges: np.ndarray
    observed: np.ndarray
    background: np.ndarray
    signal: np.ndarray
    signal_sm: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Background and signal."""
        return self.background + self.signal

    @property
    def centres(self) -> np.ndarray:
        """Middle of every bin in keV."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def per_event(self) -> float:
        """What one event counts in `unit`."""
        return 1.0 if self.unit == "events" else 1.0 / self.exposure

    @property
    def open_bins(self) -> np.ndarray:
        """Bins with acceptance: where anything is expected or was seen."""
        return (self.observed > 0.0) | (self.background + self.signal_sm > 0.0)

    def sm_events(self) -> float:
        """Standard Model neutrino events, all bins together."""
        return float(self.signal_sm.sum()) / self.per_event

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper half-width of the central 68.27% Poisson interval of every bin, in `unit`."""
        counts = np.rint(self.observed / self.per_event).astype(int)
        low, high = np.array([garwood(int(n)) for n in counts]).T
        return (counts - low) * self.per_event, (high - counts) * self.per_event


def from_json(answer: dict[str, Any]) -> Spectrum:
    """A spectrum from what `nuscan spectrum --json` prints."""
    bins = answer["bins"]

    def column(name: str) -> np.ndarray:
        return np.array([entry[name] for entry in bins], dtype=float)

    edges = np.append(column("lo_keV"), bins[-1]["hi_keV"])
    columns = (column(name) for name in ("observed", "background", "signal", "signal_sm"))
    return Spectrum(answer["experiment"], answer["unit"], float(answer["exposure_t_yr"]), edges, *columns)


def poisson_cdf(n: int, mean: float) -> float:
    """Probability of at most `n` events where `mean` are expected."""
    if mean <= 0.0:
        return 1.0
    return min(1.0, sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(n + 1)))


def _falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function passes 0; bisection, as these few roots need no speed."""
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)


def garwood(n: int, probability: float = ONE_SIGMA) -> tuple[float, float]:
    """Central confidence interval of the mean of a Poisson distribution of which `n` events were seen (Garwood 1936)."""
    tail = 0.5 * (1.0 - probability)
    highest = n + 10.0 * math.sqrt(n + 1.0) + 10.0
    upper = _falling_root(lambda mean: poisson_cdf(n, mean) - tail, float(n), highest)
    lower = 0.0 if n == 0 else _falling_root(lambda mean: poisson_cdf(n - 1, mean) - (1.0 - tail), 0.0, float(n))
    return lower, upper
