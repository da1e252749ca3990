#!/usr/bin/env python3
"""Exclusion contours of two-dimensional chi^2 surfaces that nuscan scan wrote, several experiments in one picture.

Excluded is what lies above the least chi^2 by more than 4.605 (90% C.L. for two parameters). The point with both parameters
at 0 counts even where the axes do not contain it.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

try:
    import h5py
    import matplotlib

    matplotlib.use("Agg")

    import matplotlib.pyplot as plt
    import numpy as np
except ImportError as problem:
    sys.exit(
        f"error: {sys.executable} has no module '{problem.name}'; "
        "install python3-h5py, python3-numpy and python3-matplotlib, or run this with /usr/bin/python3"
    )

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.legend import Legend  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

SCHEMA_MAJOR = 1
CONVERGED = (0, 1)


@dataclass(frozen=True)
class Style:
    label: str
    color: str
    linestyle: str
    linewidth: float
    shade: float
    """Opacity of the excluded region."""


STYLES = {
    "xenonnt_sr0": Style("XENONnT SR0", "#c1272d", "--", 1.8, 0.10),
    "lz_ws2022_arxiv2208": Style("LZ WS2022 (fitted efficiency)", "#0b4f9e", "-", 1.8, 0.10),
    "lz_ws2022": Style("LZ WS2022 (LZ's efficiency)", "#0b4f9e", ":", 1.1, 0.0),
}
OTHER_COLORS = ("#3a7d44", "#7b3294", "#b8860b", "#444444")
UNITS = {"mu_B": r"$\mu_B$", "cm^2": r"cm$^2$", "1": ""}


@dataclass(eq=False)
class Axis:
    name: str
    unit: str
    label: str
    logarithmic: bool
    values: np.ndarray

    @property
    def title(self) -> str:
        unit = UNITS.get(self.unit, self.unit)
        return f"{self.label} [{unit}]" if unit else self.label


@dataclass(eq=False)
class Surface:
    """chi^2[i, j] over axes[0] and axes[1]."""

    path: Path
    experiments: list[str]
    axes: list[Axis]
    delta_chi2: np.ndarray

    @property
    def name(self) -> str:
        return " + ".join(self.experiments)


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


def text(value: object) -> str:
    """An HDF5 string, of whichever kind."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def read_axis(scale: h5py.Dataset) -> Axis:
    name = Path(scale.name).name
    unit, label, kind = (text(scale.attrs[key]) for key in ("units", "label", "scale"))
    return Axis(name, unit, f"${label}$", kind == "log", scale[...].astype(float))


def read_surface(path: Path) -> Surface:
    """Reads a file, or ends with one line that says what is wrong with it."""
    if not path.is_file():
        fail(f"{path}: no such file, or no file")
    try:
        with h5py.File(path, "r") as file:
            major = int(file.attrs["schema_major"])
            if major != SCHEMA_MAJOR:
                fail(f"{path}: has schema {major}; this program reads {SCHEMA_MAJOR}")
            chi2 = file["grid/chi2"]
            if chi2.ndim != 2:
                fail(f"{path}: has {chi2.ndim} axes; a contour needs 2")
            axes = [read_axis(file["axes"][text(name)]) for name in file["axes"].attrs["order"]]
            values = chi2[...]
            if values.shape != tuple(axis.values.size for axis in axes):
                fail(f"{path}: damaged, the axes do not match chi2")
            if bool(file["meta"].attrs["failed"]):
                print(f"{path}: failed its self-check; do not trust it", file=sys.stderr)
            values[~np.isin(file["grid/status"][...], CONVERGED)] = math.nan
            least = min(np.nanmin(values), float(chi2.attrs["chi2_zero"]))
            experiments = [text(name) for name in file["meta"].attrs["experiments"]]
    except (OSError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        fail(f"{path}: not a surface file of nuscan, or damaged ({' '.join(str(error).split())})")
    if min(values.shape) < 2 or np.isnan(values).all():
        fail(f"{path}: a contour needs two points or more on each axis, and a chi2 that is a number")
    return Surface(path, experiments, axes, values - least)


def threshold(cl: float) -> float:
    """Delta chi^2 for two parameters."""
    return -2.0 * math.log1p(-cl)


def style_of(surface: Surface, others: list[Surface]) -> Style:
    if surface.name in STYLES:
        return STYLES[surface.name]
    return Style(surface.name, OTHER_COLORS[others.index(surface) % len(OTHER_COLORS)], "-", 1.5, 0.08)


def draw(axes: Axes, surface: Surface, style: Style, level: float) -> np.ndarray:
    """Draws contour and excluded region; returns the vertices of the contour."""
    x, y = (axis.values for axis in surface.axes)
    # chi^2 grows by many powers of ten; beyond some multiples of the level it only has to stay finite.
    z = np.ma.masked_invalid(np.minimum(surface.delta_chi2, 100.0 * level)).T
    if style.shade > 0.0:
        axes.contourf(x, y, z, levels=[level, 200.0 * level], colors=[style.color], alpha=style.shade)
    lines = axes.contour(
        x,
        y,
        z,
        levels=[level],
        colors=[style.color],
        linestyles=[style.linestyle],
        linewidths=[style.linewidth],
    )
    segments = [segment for segment in lines.allsegs[0] if len(segment)]
    return np.concatenate(segments) if segments else np.empty((0, 2))


def place_legend(figure: Figure, axes: Axes, handles: list[Line2D], title: str, vertices: np.ndarray) -> None:
    """Puts the legend into the corner where it hides least of the contours."""

    def draw_legend(corner: str) -> Legend:
        return axes.legend(
            handles=handles, title=title, loc=corner, frameon=False, alignment="left", handlelength=2.4
        )

    def hidden(corner: str) -> int:
        legend = draw_legend(corner)
        figure.canvas.draw()
        (left, bottom), (right, top) = legend.get_window_extent().padded(6).get_points()
        x, y = axes.transData.transform(vertices).T
        return int(np.count_nonzero((left < x) & (x < right) & (bottom < y) & (y < top)))

    corners = ("lower right", "upper left", "upper right", "lower left")
    draw_legend(min(corners, key=hidden) if vertices.size else corners[0])


def plot(surfaces: list[Surface], cl: float, output: Path) -> None:
    plt.rcParams.update(
        {"font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 13, "legend.fontsize": 11.5}
    )
    figure, axes = plt.subplots(figsize=(6.4, 5.0), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    first = surfaces[0].axes
    for set_scale, axis in zip((axes.set_xscale, axes.set_yscale), first, strict=True):
        set_scale("log" if axis.logarithmic else "linear")
    axes.set_xlim(first[0].values[0], first[0].values[-1])
    axes.set_ylim(first[1].values[0], first[1].values[-1])

    level = threshold(cl)
    handles = []
    vertices = []
    unknown = [surface for surface in surfaces if surface.name not in STYLES]
    for surface in surfaces:
        style = style_of(surface, unknown)
        vertices.append(draw(axes, surface, style, level))
        if vertices[-1].size == 0:
            print(f"{surface.path}: nothing is excluded at {100 * cl:g}% C.L.", file=sys.stderr)
        handles.append(
            Line2D(
                [],
                [],
                color=style.color,
                linestyle=style.linestyle,
                linewidth=style.linewidth,
                label=style.label,
            )
        )

    axes.set_xlabel(first[0].title, fontsize=15)
    axes.set_ylabel(first[1].title, fontsize=15)
    axes.tick_params(which="both", direction="in", top=True, right=True)
    title = f"{100 * cl:g}% C.L., shaded: excluded"
    place_legend(figure, axes, handles, title, np.concatenate(vertices))
    try:
        figure.savefig(output, dpi=200)
    except (OSError, ValueError) as error:
        fail(f"{output}: {error.strerror if isinstance(error, OSError) and error.strerror else error}")
    plt.close(figure)


def confidence(argument: str) -> float:
    value = float(argument)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{argument} is not between 0 and 1")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tools/plot_contours.py -o contours.png vector_lz.h5 vector_xenonnt.h5",
    )
    parser.add_argument(
        "surfaces",
        nargs="+",
        type=Path,
        metavar="FILE.h5",
        help="surface over two axes, the same in all files",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="picture; its ending (png, pdf, svg) chooses the format",
    )
    parser.add_argument("--cl", type=confidence, default=0.90, help="confidence level (default: 0.90)")
    arguments = parser.parse_args()

    surfaces = [read_surface(path) for path in arguments.surfaces]
    names = [axis.name for axis in surfaces[0].axes]
    for surface in surfaces[1:]:
        if [axis.name for axis in surface.axes] != names:
            found = ", ".join(axis.name for axis in surface.axes)
            fail(f"{surface.path}: its axes are {found}, those of {surfaces[0].path} {', '.join(names)}")
    plot(surfaces, arguments.cl, arguments.output)


if __name__ == "__main__":
    main()
