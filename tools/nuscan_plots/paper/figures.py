"""Figures 1 to 8 of arXiv:2208.06415, from the surfaces of a run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

from .. import draw, quantities, style  # noqa: E402
from ..published import LimitCurve  # noqa: E402
from ..surface import Map, Surface  # noqa: E402
from .benchmarks import Benchmark, Panel  # noqa: E402
from .program import cores  # noqa: E402
from .scans import EXPERIMENTS, LAMBDA_PLANES, Surfaces  # noqa: E402

FLAVOURS = ("e", "mu", "tau")
PAIRS = (("e", "mu"), ("e", "tau"), ("mu", "tau"))
WIDTH = 9.6
"""Of a figure of three columns, in inches."""
FILE_OF_MEDIATOR = {kind: word.replace(" ", "_") for kind, word in quantities.MEDIATORS.items()}

# The order in which they are drawn: what matters most comes last, on top.
DRAWN = ("lz_ws2022", "lz_ws2022_arxiv2208", "xenonnt_sr0")


@dataclass(frozen=True)
class Run:
    """What the figures are made of."""

    scans: Path
    """Folder of the finished scans."""
    panels: list[Panel]
    """Spectra of Fig. 1."""
    published: list[LimitCurve]
    """Other experiments' limits on mediators."""


def handles_of_experiments() -> list[Line2D]:
    """One line of the legend for each experiment."""
    return [draw.line_handle(style.EXPERIMENTS[experiment]) for experiment in EXPERIMENTS]


def grid_of(rows: int, columns: int, height: float, width: float = WIDTH) -> tuple[Figure, np.ndarray]:
    """Figure with a grid of panels, `height` inches each."""
    style.use()
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * height), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure, axes


def profiles(run: Run, names: list[list[tuple[str, str]]]) -> Figure:
    """Panels of Delta chi^2 along one parameter, all experiments; `names`: (grid, parameter) by row and column."""
    surfaces = Surfaces(run.scans)
    figure, axes = grid_of(len(names), len(names[0]), 2.9)
    for panel, (grid, parameter) in zip(axes.flat, [name for row in names for name in row], strict=True):
        for experiment in DRAWN:
            draw.profile(panel, surfaces(grid, experiment), style.EXPERIMENTS[experiment])
        draw.profile_frame(panel, surfaces(grid, EXPERIMENTS[0]).axes[parameter])
    figure.align_ylabels()
    draw.legend_above(figure, [*handles_of_experiments(), draw.line_handle(draw.THRESHOLD)])
    return figure


def best_fit_in(surface: Surface, plane: Map) -> tuple[float, float]:
    """Where chi^2 is least, in the coordinates of a plane: a node of the grid, or the point 0 where that is better."""
    if surface.chi2_zero < surface.best_fit_chi2:
        return 0.0, 0.0
    x, y = (surface.best_fit[name] for name in plane.axes)
    return x, y


def planes(run: Run, choices: list[list[Callable[[Surfaces, str], tuple[Surface, Map]]]]) -> Figure:
    """Panels of 90% C.L. regions, all experiments; `choices` give surface and plane of each panel."""
    surfaces = Surfaces(run.scans)
    figure, axes = grid_of(len(choices), len(choices[0]), 3.0)
    for panel, choose in zip(axes.flat, [choice for row in choices for choice in row], strict=True):
        for experiment in DRAWN:
            surface, plane = choose(surfaces, experiment)
            draw.plane(panel, plane, style.EXPERIMENTS[experiment], best_fit=best_fit_in(surface, plane))
        draw.plane_frame(panel, choose(surfaces, EXPERIMENTS[0])[1])
    star = Line2D([], [], marker="*", markersize=8, color="0.3", markeredgewidth=0, linestyle="", label="best fit")
    figure.align_ylabels()
    draw.legend_above(figure, [*handles_of_experiments(), star])
    return figure


def whole(grid: str) -> Callable[[Surfaces, str], tuple[Surface, Map]]:
    """The plane is the surface itself."""

    def choose(surfaces: Surfaces, experiment: str) -> tuple[Surface, Map]:
        surface = surfaces(grid, experiment)
        return surface, surface

    return choose


def profiled(grid: str, kept: tuple[str, str]) -> Callable[[Surfaces, str], tuple[Surface, Map]]:
    """The plane is a profile of the surface."""

    def choose(surfaces: Surfaces, experiment: str) -> tuple[Surface, Map]:
        surface = surfaces(grid, experiment)
        return surface, surface.profiles[",".join(kept)]

    return choose


def figure1(run: Run) -> Figure:
    """Spectra: electromagnetic properties above, mediators below; under each, what is beyond the Standard Model."""
    panels = sorted(run.panels, key=lambda panel: EXPERIMENTS.index(panel.experiment))
    style.use()
    figure, axes = plt.subplots(
        4, len(panels), figsize=(4.2 * len(panels), 9.4), layout="constrained", squeeze=False, sharex="col",
        gridspec_kw={"height_ratios": (2.2, 1.0, 2.2, 1.0)},
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.02, hspace=0.01)
    for column, panel in enumerate(panels):
        electromagnetic = [point for point in panel.benchmarks if point.at_limit is None]
        mediators = [point for point in panel.benchmarks if point.at_limit is not None]
        for row, points in ((0, electromagnetic), (2, mediators)):
            spectra_panel(axes[row, column], panel, points)
            excess_panel(axes[row + 1, column], panel, points)
        axes[1, column].set_xlabel("")
        figure.align_ylabels(axes[:, column])
    return figure


def spectra_panel(axes: Axes, panel: Panel, points: list[Benchmark]) -> None:
    """Data, background, Standard Model and the points given; the legend above, where it hides nothing."""
    sm = panel.standard_model
    draw.spectrum_model(axes, sm, sm.background, fill=True, color="0.86", label="background")
    draw.spectrum_model(axes, sm, sm.background + sm.signal_sm, color="0.35", linewidth=1.1, label="background + SM")
    for order, point in enumerate(points):
        draw.spectrum_model(axes, sm, point.spectrum.total, label=point.label, **look(order))
    draw.spectrum_data(axes, sm)
    draw.spectrum_frame(axes, sm, panel.energy)
    axes.set_xlabel("")
    _, high = sm.errors()
    axes.set_ylim(0.0, 1.05 * max((sm.observed + high).max(), *(point.spectrum.total.max() for point in points)))
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = [handles[-1], *handles[:-1]], [labels[-1], *labels[:-1]]  # data first
    mass = points[0].values.get("m_" + (points[0].at_limit or "")[2:])
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=8.5, columnspacing=0.9, handlelength=2.0,
        title=style.of([panel.experiment]).label + ("" if mass is None else f", mediators of {1e3 * mass:g} keV"),
        alignment="left", borderaxespad=0.2, borderpad=0.1, labelspacing=0.35, title_fontsize=10.5,
    )  # fmt: skip


def excess_panel(axes: Axes, panel: Panel, points: list[Benchmark]) -> None:
    """What the points add to the Standard Model, on a scale of its own: most of it would drown in the errors of the data."""
    sm = panel.standard_model
    axes.axhline(0.0, color="0.35", linewidth=0.8)
    for order, point in enumerate(points):
        draw.spectrum_model(axes, sm, point.spectrum.signal - sm.signal_sm, baseline=None, **look(order))
    draw.spectrum_frame(axes, sm, panel.energy)
    axes.set_ylabel("total $-$ SM")
    axes.margins(y=0.1)


def look(order: int) -> dict[str, Any]:
    """Colour and line of a benchmark."""
    return {"color": style.OTHER_COLOURS[order], "linestyle": style.OTHER_LINES[order], "linewidth": 1.3}


def figure2(run: Run) -> Figure:
    return profiles(run, [[(f"fig2_mu_{f}", f"mu_{f}") for f in FLAVOURS]])


def figure3(run: Run) -> Figure:
    return planes(
        run,
        [
            [whole(f"fig3_mu_{a}_mu_{b}") for a, b in PAIRS],
            [profiled("fig3_lambda", kept) for kept in LAMBDA_PLANES],
        ],
    )


def figure4(run: Run) -> Figure:
    return profiles(run, [[(f"fig4_{kind}_{f}", f"{kind}_{f}") for f in FLAVOURS] for kind in ("q", "r2")])


def figure5(run: Run) -> Figure:
    return planes(run, [[whole(f"fig5_{kind}_{a}_{kind}_{b}") for a, b in PAIRS] for kind in ("q", "r2")])


def figure6(run: Run) -> Figure:
    """Five mediators, and all of them together in the sixth panel."""
    surfaces = Surfaces(run.scans)
    figure, axes = grid_of(2, 3, 3.0)
    for panel, (kind, word) in zip(axes.flat, FILE_OF_MEDIATOR.items(), strict=False):
        draw.plane_frame(panel, surfaces(f"fig6_{word}", EXPERIMENTS[0]))
        for experiment in DRAWN:
            draw.exclusion(panel, surfaces.curve(word, experiment), style.EXPERIMENTS[experiment])
        # Those of vector and scalar are in Fig. 7.
        others = [curve for curve in run.published if curve.parameter == f"g_{kind}" and kind not in "VS"]
        lines = [draw.published_curve(panel, curve, order) for order, curve in enumerate(others)]
        panel.text(0.96, 0.05, quantities.MEDIATORS[kind], transform=panel.transAxes, ha="right")
        if lines:
            draw.legend_inside(panel, lines)
    last = axes[1, 2]
    draw.plane_frame(last, surfaces("fig6_vector", EXPERIMENTS[0]))
    last.set_xlabel(r"$m$ [$\mathrm{MeV}$]")
    last.set_ylabel(r"$g$")
    for order, (kind, word) in enumerate(FILE_OF_MEDIATOR.items()):
        curve = surfaces.curve(word, "xenonnt_sr0")
        last.plot(
            curve.mass, curve.upper, color=style.OTHER_COLOURS[order], linestyle=style.OTHER_LINES[order], linewidth=1.5,
            label=quantities.MEDIATORS[kind],
        )  # fmt: skip
    draw.legend_inside(last, last.get_lines(), "XENONnT")
    shaded = Patch(color="0.5", alpha=0.3, linewidth=0, label="excluded, 90% C.L.")
    draw.legend_above(figure, [*handles_of_experiments(), shaded])
    return figure


def figure7(run: Run) -> Figure:
    """Vector and scalar, with the limits of other experiments that are at hand."""
    surfaces = Surfaces(run.scans)
    figure, axes = grid_of(1, 2, 4.2)
    for panel, kind in zip(axes.flat, ("V", "S"), strict=True):
        word = FILE_OF_MEDIATOR[kind]
        draw.plane_frame(panel, surfaces(f"fig6_{word}", EXPERIMENTS[0]))
        for experiment in DRAWN:
            draw.exclusion(panel, surfaces.curve(word, experiment), style.EXPERIMENTS[experiment])
        others = [curve for curve in run.published if curve.parameter == f"g_{kind}"]
        lines = [draw.published_curve(panel, curve, order) for order, curve in enumerate(others)]
        panel.text(0.97, 0.04, quantities.MEDIATORS[kind], transform=panel.transAxes, ha="right")
        if lines:
            draw.legend_inside(panel, lines)
    shaded = Patch(color="0.5", alpha=0.3, linewidth=0, label="excluded, 90% C.L.")
    draw.legend_above(figure, [*handles_of_experiments(), shaded])
    return figure


def figure8(run: Run) -> Figure:
    return profiles(run, [[(f"fig8_a_{f}", f"a_{f}") for f in FLAVOURS]])


FIGURES: dict[str, Callable[[Run], Figure]] = {
    "fig1": figure1,
    "fig2": figure2,
    "fig3": figure3,
    "fig4": figure4,
    "fig5": figure5,
    "fig6": figure6,
    "fig7": figure7,
    "fig8": figure8,
}


def make(name: str, run: Run, folder: Path) -> list[Path]:
    """Draws a figure and writes it as PNG and PDF."""
    figure = FIGURES[name](run)
    try:
        return draw.save(figure, folder / name)
    finally:
        plt.close(figure)


def make_all(run: Run, folder: Path) -> dict[str, list[Path]]:
    """All figures, in as many processes as there are cores, two at most: files by name of the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(min(2, cores())) as pool:
        futures = {name: pool.submit(make, name, run, folder) for name in FIGURES}
        return {name: future.result() for name, future in futures.items()}
