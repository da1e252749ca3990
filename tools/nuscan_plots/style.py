"""Colours and lines. Experiments look the same in every figure, and differ by line as well as by colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl


@dataclass(frozen=True)
class Style:
    """How an experiment is drawn: its name in legends, colour, line, and opacity of its shaded regions."""

    label: str
    color: str
    linestyle: str | tuple[float, tuple[float, ...]] = "-"
    linewidth: float = 1.7
    shade: float = 0.12


EXPERIMENTS = {
    "lz_ws2022_arxiv2208": Style("LZ (fitted efficiency)", "#0b4f9e", "-"),
    "xenonnt_sr0": Style("XENONnT", "#c1272d", (0, (5, 2))),
    "lz_ws2022": Style("LZ (own efficiency)", "#3fa7d6", (0, (6, 1.5, 1.2, 1.5)), 1.4, 0.07),
}
# The palette of Okabe and Ito, without the colours that the experiments have.
OTHER_COLOURS = ("#009e73", "#e69f00", "#cc79a7", "#555555", "#7b3294", "#8c6d31")
# Told apart in print without colour, too.
OTHER_LINES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)))

PARAMETERS = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 11,
    "axes.labelsize": 12.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "axes.linewidth": 0.8,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


def use() -> None:
    """Sets matplotlib's parameters to those of the figures of this package."""
    mpl.rcParams.update(PARAMETERS)


def of(experiments: Sequence[str], order: int = 0) -> Style:
    """Style of one experiment, or of several that were fitted together; `order` tells unknown ones apart."""
    name = " + ".join(experiments)
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    label = " + ".join(EXPERIMENTS[e].label if e in EXPERIMENTS else e for e in experiments)
    return Style(label, OTHER_COLOURS[order % len(OTHER_COLOURS)], OTHER_LINES[order % len(OTHER_LINES)])
