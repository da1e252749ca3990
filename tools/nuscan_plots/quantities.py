"""How parameters are written: labels, units, and the powers of ten in which they are customarily given."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNIT_TEX = {
    "mu_B": r"\mu_\mathrm{B}",
    "e": "e",
    "cm^2": r"\mathrm{cm}^2",
    "MeV": r"\mathrm{MeV}",
    "1": "",
}
UNIT_HTML = {"mu_B": "&mu;<sub>B</sub>", "e": "e", "cm^2": "cm<sup>2</sup>", "MeV": "MeV", "1": ""}

CUSTOMARY = {"mu": 1e-11, "Lambda": 1e-11, "q": 1e-13, "r2": 1e-32, "a": 1e-32}
"""Power of ten in which the limits of a family of parameters are printed."""

FLAVOURS = {"e": "e", "mu": r"\mu", "tau": r"\tau"}
FLAVOURS_HTML = {"e": "e", "mu": "&mu;", "tau": "&tau;"}
MEDIATORS = {
    "S": "scalar",
    "P": "pseudoscalar",
    "V": "vector",
    "A": "axial vector",
    "T": "tensor",
}


def family(parameter: str) -> str:
    """The part of a parameter's name before its index: `mu` of `mu_e`."""
    return parameter.split("_")[0]


def customary(parameter: str) -> float:
    """The power of ten, in the parameter's unit, in which it is customarily given; 1 for couplings and masses."""
    return CUSTOMARY.get(family(parameter), 1.0)


def tex(parameter: str) -> str:
    """LaTeX of a parameter, without dollar signs, for parameters that no file is at hand for."""
    kind, _, index = parameter.partition("_")
    flavour = FLAVOURS.get(index, index)
    match kind:
        case "mu":
            return r"\mu_\nu" if index == "universal" else rf"\mu_{{\nu_{flavour}}}"
        case "Lambda":
            return rf"|\Lambda_{index}|"
        case "r2":
            return rf"\langle r^2_{{\nu_{flavour}}} \rangle"
        case "q" | "a":
            return rf"{kind}_{{\nu_{flavour}}}"
        case _:
            return rf"{kind}_{{{index}}}"


def html(parameter: str) -> str:
    """HTML of a parameter."""
    kind, _, index = parameter.partition("_")
    index = FLAVOURS_HTML.get(index, index)
    match kind:
        case "mu":
            return "&mu;<sub>universal</sub>" if index == "universal" else f"&mu;<sub>&nu;{index}</sub>"
        case "Lambda":
            return f"|&Lambda;<sub>{index}</sub>|"
        case "r2":
            return f"&lang;r<sup>2</sup><sub>&nu;{index}</sub>&rang;"
        case "q" | "a":
            return f"{kind}<sub>&nu;{index}</sub>"
        case _:
            return f"{kind}<sub>{index}</sub>"


def power_tex(value: float, computed: bool = False) -> str:
    """A number as LaTeX: `10^{-11}`, `5 \\times 10^{-13}`, `0.65`; a computed one with all its three digits, `1.10`."""
    form = "#.3g" if computed else ".3g"
    if value == 0.0 or 1e-2 <= abs(value) < 1e4:
        return f"{value:{form}}"
    exponent = math.floor(math.log10(abs(value)) + 1e-12)
    mantissa = f"{value / 10.0**exponent:{form}}"
    return rf"10^{{{exponent}}}" if mantissa == "1" else rf"{mantissa} \times 10^{{{exponent}}}"


def value_tex(parameter: str, value: float, unit: str, computed: bool = False) -> str:
    """`mu = 10^-11 mu_B` as LaTeX with dollar signs; of a computed value all three digits."""
    spaced = rf"\,{UNIT_TEX.get(unit, unit)}" if UNIT_TEX.get(unit, unit) else ""
    return rf"${tex(parameter)} = {power_tex(value, computed)}{spaced}$"


@dataclass(frozen=True)
class Title:
    """Text and scale of a plot's axis."""

    text: str
    scale: float
    """What the numbers at the ticks are multiples of, in the parameter's unit."""


def axis_title(parameter: str, label: str, unit: str, logarithmic: bool) -> Title:
    """Title of an axis. `label`: LaTeX without dollar signs; `unit`: as in the file. Linear axes get a customary power of ten."""
    scale = 1.0 if logarithmic else customary(parameter)
    unit_tex = UNIT_TEX.get(unit, rf"\mathrm{{{unit}}}")
    if scale != 1.0:
        unit_tex = rf"{power_tex(scale)}\,{unit_tex}"
    return Title(f"${label}$ [${unit_tex}$]" if unit_tex else f"${label}$", scale)


def unit_html(parameter: str, unit: str) -> str:
    """Unit of a parameter with its customary power of ten, as HTML."""
    scale = customary(parameter)
    text = UNIT_HTML.get(unit, unit)
    return text if scale == 1.0 else f"10<sup>&minus;{round(-math.log10(scale))}</sup> {text}"
