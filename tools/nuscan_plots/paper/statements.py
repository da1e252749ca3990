"""What arXiv:2208.06415 states, held against the numbers of this run.

Every statement has a criterion that was written down before the numbers are looked at; the verdict follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import quantities
from ..published import LimitCurve, PublishedLimit
from ..surface import MassCurve
from .table1 import Limit

CONFIRMED = "confirmed"
PARTLY = "partly"
CONTRADICTED = "contradicted"
UNTESTED = "not tested"

XENONNT = "xenonnt_sr0"
LZ = "lz_ws2022_arxiv2208"
LZ_OWN = "lz_ws2022"
NAMES = {XENONNT: "XENONnT", LZ: "LZ (fitted efficiency)", LZ_OWN: "LZ (own efficiency)"}
FLAVOURS = ("e", "mu", "tau")
ONE_ORDER = 10.0**0.5
"""From here on a factor is nearer to ten than to one."""


@dataclass(frozen=True)
class Check:
    """One comparison of a statement. `text` is HTML with its numbers."""

    holds: bool
    text: str


@dataclass(frozen=True)
class Statement:
    """A statement, the criterion it is held to, and what came out. All texts are HTML."""

    text: str
    criterion: str
    checks: list[Check]

    @property
    def verdict(self) -> str:
        held = [check.holds for check in self.checks]
        if not held:
            return UNTESTED
        return CONFIRMED if all(held) else PARTLY if any(held) else CONTRADICTED


@dataclass
class Numbers:
    """What the statements are about."""

    limits: dict[str, dict[str, Limit]]
    """By experiment and parameter."""
    combined: dict[str, dict[str, Limit]]
    """XENONnT together with an LZ experiment, by the name of the latter."""
    sm_events: dict[str, float]
    sm_events_rrpa: dict[str, float]
    """With the binding of the electrons corrected for."""
    collaboration_events: dict[str, float]
    """`<experiment>` and `<experiment>_error`."""
    others: list[PublishedLimit]
    """Limits of other experiments."""
    curves: dict[tuple[str, str], MassCurve] = field(default_factory=dict)
    """Limits against mass by mediator ("S") and experiment."""
    published_curves: list[LimitCurve] = field(default_factory=list)
    """Other experiments' limits on mediators."""

    def other(self, experiment: str, parameter: str) -> PublishedLimit | None:
        """Another experiment's limit on a parameter, by the beginning of its name."""
        return next(
            (limit for limit in self.others if limit.experiment.startswith(experiment) and limit.parameter == parameter), None
        )


def millicharges_against_lz(numbers: Numbers) -> Statement:
    checks = []
    for flavour in FLAVOURS:
        name = f"q_{flavour}"
        ours, theirs = numbers.limits[XENONNT][name], numbers.limits[LZ][name]
        factors = {"interval": theirs.width / ours.width}
        if ours.lower is not None and theirs.lower is not None:
            factors["lower end"] = theirs.lower / ours.lower
        if ours.upper is not None and theirs.upper is not None:
            factors["upper end"] = theirs.upper / ours.upper
        checks += [
            Check(round(factor, 1) == 1.2, f"{quantities.html(name)}, {what}: {factor:.2f}") for what, factor in factors.items()
        ]
    return Statement(
        "XENONnT's limits on millicharges are a factor 1.2 more stringent than those of LZ.",
        "LZ (fitted efficiency) over XENONnT rounds to 1.2, for the length of the interval and for each of its ends",
        checks,
    )


def millicharges_against_reactors(numbers: Numbers) -> Statement:
    checks = []
    ours = numbers.limits[XENONNT]["q_e"]
    if germanium := numbers.other("reactor, germanium", "q_e"):
        factor = germanium.upper / ours.largest
        checks.append(
            Check(factor >= ONE_ORDER, f"reactor with germanium (|q| &lt; {germanium.upper:.2g} e): {factor:.1f} for the largest |q|")
        )
    if dresden := numbers.other("Dresden-II", "q_e"):
        for end, theirs, value in (("lower", dresden.lower, ours.lower), ("upper", dresden.upper, ours.upper)):
            if theirs is not None and value is not None:
                factor = theirs / value
                checks.append(Check(factor >= ONE_ORDER, f"Dresden-II, {end} end ({theirs:.2g} e): {factor:.1f}"))
    return Statement(
        f"The limits on {quantities.html('q_e')} are one order of magnitude better than those of TEXONO (reactor with germanium) "
        "and of Dresden-II with COHERENT.",
        "their limit over XENONnT's is &radic;10 or more",
        checks,
    )


def at_another_level(cl: float) -> str:
    """What to say of another experiment's limit that is not at our 90% C.L.: without its chi^2 it cannot be converted."""
    if abs(cl - 0.9) < 1e-9:
        return ""
    return f"; theirs is at {100 * cl:g}% C.L., which makes the factor {'larger' if cl > 0.9 else 'smaller'}"


def moments_against_borexino(numbers: Numbers) -> Statement:
    checks = []
    for experiment in (XENONNT, LZ):
        for flavour in FLAVOURS:
            name = f"mu_{flavour}"
            if borexino := numbers.other("Borexino", name):
                factor = borexino.upper / (numbers.limits[experiment][name].upper or float("nan"))
                text = f"{quantities.html(name)}, {NAMES[experiment]}: {factor:.2f}{at_another_level(borexino.cl)}"
                checks.append(Check(factor >= 2.5, text))
    return Statement(
        "The limits on magnetic moments improve on those of Borexino by a factor of 2.5 and more.",
        "Borexino's limit over the new one is 2.5 or more, for each flavour and experiment",
        checks,
    )


def mediators_against_borexino(numbers: Numbers) -> Statement:
    checks = []
    for theirs in numbers.published_curves:
        kind = theirs.parameter.removeprefix("g_")
        if not theirs.experiment.startswith("Borexino") or (kind, XENONNT) not in numbers.curves:
            continue
        mass, coupling, curve = theirs.mass, theirs.coupling, numbers.curves[kind, XENONNT]
        inside = (mass >= curve.mass[0]) & (mass <= curve.mass[-1])
        ours = np.exp(np.interp(np.log(mass[inside]), np.log(curve.mass), np.log(curve.upper)))
        factors = coupling[inside] / ours
        factors = factors[np.isfinite(factors)]
        if factors.size:
            middle = float(np.median(factors))
            checks.append(
                Check(
                    10.0**0.25 <= middle < 10.0**0.75,
                    f"{quantities.MEDIATORS[kind]}: {middle:.1f} (between {factors.min():.1f} and {factors.max():.1f})"
                    + at_another_level(theirs.cl),
                )
            )
    return Statement(
        "The limits on light mediators improve on those of Borexino by about half an order of magnitude.",
        "the median over the masses of Borexino's coupling over XENONnT's lies between 10<sup>0.25</sup> and 10<sup>0.75</sup>",
        checks,
    )


def combination(numbers: Numbers) -> Statement:
    checks = []
    for lz, limits in numbers.combined.items():
        gains = {name: 1.0 - limit.width / numbers.limits[XENONNT][name].width for name, limit in limits.items()}
        for name in ("mu_e", max(gains, key=lambda key: gains[key])):
            scale = quantities.customary(name)
            alone, together = numbers.limits[XENONNT][name], limits[name]
            checks.append(
                Check(
                    gains[name] < 0.1,
                    f"{quantities.html(name)} with {NAMES[lz]}: {interval(together, scale)} against {interval(alone, scale)} "
                    f"{quantities.unit_html(name, alone.unit)} of XENONnT alone, {100 * gains[name]:.1f}% shorter"
                    + ("" if name == "mu_e" else " (the largest gain of all parameters)"),
                )
            )
    return Statement(
        "A combined analysis of XENONnT and LZ brings no notable improvement.",
        "the allowed interval is less than 10% shorter than that of XENONnT alone, for the moment of &nu;<sub>e</sub> and for the parameter "
        "that gains most",
        checks,
    )


def interval(limit: Limit, scale: float) -> str:
    """`< 0.885`, `[-1.29, 6.44]` or `[-93, -49] or [-37, 9]`, in multiples of `scale`, as HTML."""
    digits = 3 if limit.lower is None else 2
    if limit.upper is None:
        return "no limit"
    pieces = []
    for lower, upper in limit.intervals:
        end = f"{upper / scale:.{digits}f}"
        pieces.append(f"&lt; {end}" if lower is None else f"[{lower / scale:.{digits}f}, {end}]")
    return " or ".join(pieces).replace("-", "&minus;")


def sm_counts(numbers: Numbers) -> Statement:
    checks = []
    for experiment in (XENONNT, LZ):
        key = experiment if experiment in numbers.collaboration_events else LZ_OWN
        theirs = numbers.collaboration_events[key]
        error = numbers.collaboration_events.get(f"{key}_error")
        events, bound = numbers.sm_events[experiment], numbers.sm_events_rrpa[experiment]
        holds = abs(events / theirs - 1.0) <= 0.05 if error is None else abs(events - theirs) <= 2.0 * error
        theirs_text = f"{theirs:.1f}" + ("" if error is None else f" &plusmn; {error:.1f}")
        checks.append(
            Check(holds, f"{NAMES[experiment]}: {events:.1f} against {theirs_text} (with the binding of the electrons, RRPA: {bound:.1f})")
        )
    return Statement(
        "The Standard Model counts in the region of interest agree with those of the collaborations.",
        "within two standard deviations of the collaboration, or within 5% where it states none; electrons free above their binding energy, "
        "as in the paper",
        checks,
    )


def universal_against_xenonnt(numbers: Numbers) -> Statement:
    theirs = numbers.other("XENONnT", "mu_universal")
    ours = numbers.limits[XENONNT]["mu_universal"].upper or float("nan")
    return Statement(
        "XENONnT's own limit on a magnetic moment, with solar neutrinos, is 6.4 &times; 10<sup>&minus;12</sup> &mu;<sub>B</sub> "
        "(arXiv:2207.11330).",
        "agreement within 5%",
        []
        if theirs is None
        else [
            Check(
                abs(ours / theirs.upper - 1.0) <= 0.05,
                f"{ours / 1e-12:.2f} against {theirs.upper / 1e-12:.1f}, ratio {ours / theirs.upper:.3f}",
            )
        ],
    )


def transition_moments_and_stars(numbers: Numbers) -> Statement:
    stars = numbers.other("globular cluster", "Lambda_norm")
    checks = []
    for index in (1, 2, 3) if stars is not None else ():
        bound = stars.upper
        name = f"Lambda_{index}"
        ours = numbers.limits[XENONNT][name].upper or float("nan")
        checks.append(Check(ours > bound, f"{quantities.html(name)}: {ours / 1e-12:.2f} against {bound / 1e-12:.1f}"))
    return Statement(
        "Plasmon decay in the globular cluster M5 bounds transition moments more strongly than XENONnT does "
        "(4.5 &times; 10<sup>&minus;12</sup> &mu;<sub>B</sub>, 95% C.L., arXiv:1308.4627).",
        "each limit of XENONnT, 90% C.L., lies above that bound [10<sup>&minus;12</sup> &mu;<sub>B</sub>]",
        checks,
    )


def coupling_at(curve: MassCurve, mass: float) -> float:
    """Limit at a mass [MeV], interpolated in logarithms."""
    return float(np.exp(np.interp(np.log(mass), np.log(curve.mass), np.log(curve.upper))))


def order_of_mediators(numbers: Numbers) -> Statement:
    checks = []
    for experiment in (XENONNT, LZ):
        for mass in (1e-3, 1e-1, 1e1):
            at = {kind: coupling_at(numbers.curves[kind, experiment], mass) for kind in quantities.MEDIATORS}
            strongest, weakest = min(at, key=lambda kind: at[kind]), max(at, key=lambda kind: at[kind])
            checks.append(
                Check(
                    strongest == "T" and weakest == "P",
                    f"{NAMES[experiment]}, {mass:g} MeV: strongest {quantities.MEDIATORS[strongest]} ({at[strongest]:.2g}), "
                    f"weakest {quantities.MEDIATORS[weakest]} ({at[weakest]:.2g})",
                )
            )
    return Statement(
        "Of all mediators the tensor is limited most strongly, the pseudoscalar least.",
        "at 0.001, 0.1 and 10 MeV",
        checks,
    )


def shape_of_mediators(numbers: Numbers) -> Statement:
    checks = []
    for kind, word in quantities.MEDIATORS.items():
        curve = numbers.curves[kind, XENONNT]
        low = np.log(coupling_at(curve, 2e-3) / coupling_at(curve, 2e-4)) / np.log(10.0)
        high = np.log(coupling_at(curve, 50.0) / coupling_at(curve, 5.0)) / np.log(10.0)
        checks.append(
            Check(abs(low) < 0.05 and abs(high - 1.0) < 0.05, f"{word}: slope {low:.3f} from 0.2 to 2 keV, {high:.3f} from 5 to 50 MeV")
        )
    return Statement(
        "The limits on couplings do not depend on light masses, and grow in proportion to heavy ones.",
        "slope of ln g against ln m within 0.05 of 0 from 0.2 to 2 keV and of 1 from 5 to 50 MeV (XENONnT)",
        checks,
    )


def mediators_against_lz(numbers: Numbers) -> Statement:
    checks = []
    for kind, word in quantities.MEDIATORS.items():
        ours, theirs = numbers.curves[kind, XENONNT], numbers.curves[kind, LZ]
        factors = theirs.upper / ours.upper
        factors = factors[np.isfinite(factors)]
        if factors.size:
            checks.append(Check(bool(factors.min() > 1.0), f"{word}: LZ over XENONnT {factors.min():.2f} to {factors.max():.2f}"))
    return Statement(
        "XENONnT limits mediators slightly better than LZ at all masses.",
        "LZ (fitted efficiency; out of sample) over XENONnT is above 1 at every mass",
        checks,
    )


ALL: tuple[Callable[[Numbers], Statement], ...] = (
    millicharges_against_lz,
    millicharges_against_reactors,
    moments_against_borexino,
    mediators_against_borexino,
    combination,
    sm_counts,
    universal_against_xenonnt,
    transition_moments_and_stars,
    order_of_mediators,
    shape_of_mediators,
    mediators_against_lz,
)


def check_all(numbers: Numbers) -> list[Statement]:
    """All statements, in the order of the report."""
    return [statement(numbers) for statement in ALL]
