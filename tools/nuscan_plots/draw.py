"""Plot functions. Each draws into matplotlib axes of the caller, in the parameters' own units, and returns what it drew.

Ticks of linear axes are labelled in customary powers of ten, which the axis title names; so other curves are added with
`axes.plot` in cm^2, mu_B, e or MeV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import AutoMinorLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import BboxBase

from . import quantities, style
from .contours import regions
from .errors import NuscanError
from .published import LimitCurve
from .spectra import Spectrum
from .style import Style
from .surface import Axis, Map, MassCurve, Surface

DELTA_CHI2_90 = 2.705543454095414
"""Delta chi^2 of 90% C.L. for one parameter."""
THRESHOLD = Style(r"90% C.L., $\Delta\chi^2 = 2.71$", "0.4", ":", 0.9)
"""How that threshold is drawn."""


def style_of(surface: Map, order: int = 0) -> Style:
    """Style of the experiments of a surface; `order` tells those without a style of their own apart."""
    return style.of(surface.experiments if isinstance(surface, Surface) else (), order)


def set_axis(axes: Axes, direction: str, axis: Axis) -> None:
    """Scale, range, ticks and title of the x or y axis of a plot.

    Args:
        axes: matplotlib axes.
        direction: "x" or "y".
        axis: axis of a surface.
    """
    title = quantities.axis_title(axis.name, axis.label, axis.unit, axis.logarithmic)
    line = axes.xaxis if direction == "x" else axes.yaxis
    (axes.set_xscale if direction == "x" else axes.set_yscale)(axis.scale)
    (axes.set_xlim if direction == "x" else axes.set_ylim)(*axis_range(axis))
    line.set_label_text(title.text)
    if axis.logarithmic:
        line.set_major_locator(LogLocator(numticks=12))
        line.set_minor_locator(LogLocator(subs=np.arange(2, 10), numticks=12))
        line.set_minor_formatter(NullFormatter())
    else:
        line.set_major_locator(MaxNLocator(6 if direction == "x" else 8, steps=[1, 2, 2.5, 5, 10]))
        line.set_minor_locator(AutoMinorLocator())
        line.set_major_formatter(FuncFormatter(lambda value, _: f"${round(value / title.scale, 9):g}$"))


def axis_range(axis: Axis) -> tuple[float, float]:
    """The range of an axis; a frame around it where it has a single value."""
    low, high = float(axis.values[0]), float(axis.values[-1])
    if low < high:
        return low, high
    if axis.logarithmic:
        return low / 10.0**0.5, low * 10.0**0.5
    around = abs(low) or quantities.customary(axis.name)
    return low - around, low + around


def profile(axes: Axes, surface: Map, drawn_as: Style, label: str | None = None) -> Line2D:
    """Delta chi^2 along the only axis of a surface or profile.

    Args:
        axes: matplotlib axes; x in the parameter's unit.
        surface: surface or profile over one axis.
        drawn_as: colour and line.
        label: text of the legend; default: that of the style.
    """
    if len(surface.axes) != 1:
        raise NuscanError(
            f"{surface.path}: has {len(surface.axes)} axes; `nuscan profile {surface.path.name} --keep AXIS` leaves one"
        )
    (axis,) = surface.axes.values()
    (line,) = axes.plot(
        axis.values,
        surface.delta_chi2,
        color=drawn_as.color,
        linestyle=drawn_as.linestyle,
        linewidth=drawn_as.linewidth,
        label=drawn_as.label if label is None else label,
        **single_point(axis.values),
    )
    return line


def single_point(values: np.ndarray) -> dict[str, Any]:
    """A marker for a line that would have no length."""
    return {"marker": "o", "markersize": 4} if values.size == 1 else {}


def profile_frame(axes: Axes, axis: Axis, highest: float = 8.0) -> None:
    """Frame of plots of Delta chi^2: range, titles and the threshold of 90% C.L. for one parameter."""
    set_axis(axes, "x", axis)
    axes.set_ylim(0.0, highest)
    axes.set_ylabel(r"$\Delta\chi^2$")
    axes.axhline(DELTA_CHI2_90, color=THRESHOLD.color, linewidth=THRESHOLD.linewidth, linestyle=THRESHOLD.linestyle)


def plane(
    axes: Axes,
    surface: Map,
    drawn_as: Style,
    cls: Sequence[float] = (0.90,),
    shade: str = "allowed",
    best_fit: tuple[float, float] | None = None,
) -> list[np.ndarray]:
    """Contours of a plane.

    Args:
        axes: matplotlib axes; x along the surface's first axis, y along its second, in their units.
        surface: surface or profile over two axes.
        drawn_as: colour and line; levels beyond the first are thinner.
        cls: confidence levels, for two parameters.
        shade: "allowed", "excluded" or "none": what of the first level is shaded, where the style has an opacity.
        best_fit: marks this point, in the axes' units.

    Returns:
        The lines drawn, arrays [point][x, y].
    """
    drawn: list[np.ndarray] = []
    for order, cl in enumerate(cls):
        contour = surface.contour(cl)
        for line in contour.lines:
            axes.plot(
                line[:, 0],
                line[:, 1],
                color=drawn_as.color,
                linestyle=drawn_as.linestyle,
                linewidth=drawn_as.linewidth / (1.0 + 0.6 * order),
                solid_capstyle="butt",
            )
        drawn += contour.lines
        if order == 0 and drawn_as.shade > 0.0 and shade != "none":
            nodes, logarithmic = zip(*((axis.values, axis.logarithmic) for axis in surface.axes.values()), strict=True)
            polygons = regions(list(nodes), list(logarithmic), surface.chi2, contour.level, shade == "allowed")
            if polygons:
                path = Path.make_compound_path(*(Path(points, codes) for points, codes in polygons))
                axes.add_patch(PathPatch(path, facecolor=drawn_as.color, alpha=drawn_as.shade, linewidth=0))
    if best_fit is not None:
        # At the edge of the plot half a marker has to be outside of it.
        axes.plot(*best_fit, marker="*", markersize=8, color=drawn_as.color, markeredgewidth=0, linestyle="", clip_on=False, zorder=5)
    return drawn


def plane_frame(axes: Axes, surface: Map) -> None:
    """Frame of a plot of a plane: range, scales and titles of the surface's two axes."""
    for direction, axis in zip("xy", surface.axes.values(), strict=True):
        set_axis(axes, direction, axis)


def mass_curve(surface: Map, cl: float = 0.90, definition: str = "per_mass") -> MassCurve:
    """The limit on the coupling against mass that `nuscan limits` stored in a file.

    Args:
        surface: surface, or profile of one, over mass and coupling of a mediator.
        cl: confidence level.
        definition: "per_mass" (least chi^2 of each mass, one degree of freedom) or "plane" (whole plane, two).
    """
    for level, limits in surface.limits.items():
        for limit in limits.values() if np.isclose(level, cl) else ():
            # Those with another number of parameters than the definition's own are not what is asked for.
            if isinstance(limit, MassCurve) and limit.definition == definition and limit.dof == (1 if definition == "per_mass" else 2):
                return limit
    raise NuscanError(
        f"{surface.path}: holds no limits against mass at this confidence level; run `nuscan limits {surface.path} --keep "
        f"{' '.join(surface.axes)} --cl {cl:g}`"
    )


def exclusion(axes: Axes, curve: MassCurve, drawn_as: Style, label: str | None = None) -> Line2D:
    """Limit on a coupling against mass; what lies above it is shaded.

    Args:
        axes: matplotlib axes whose range is set; x: mass in `curve.mass_unit`, y: coupling in `curve.unit`.
        curve: limit, see `mass_curve`.
        drawn_as: colour and line.
        label: text of the legend; default: that of the style.
    """
    (line,) = axes.plot(
        curve.mass,
        curve.upper,
        color=drawn_as.color,
        linestyle=drawn_as.linestyle,
        linewidth=drawn_as.linewidth,
        label=drawn_as.label if label is None else label,
        **single_point(curve.mass),
    )
    if drawn_as.shade > 0.0:
        top = axes.get_ylim()[1]
        axes.fill_between(curve.mass, curve.upper, top, color=drawn_as.color, alpha=0.6 * drawn_as.shade, linewidth=0)
    return line


def published_curve(axes: Axes, curve: LimitCurve, order: int = 0) -> Line2D:
    """Another experiment's limit on a mediator, thinner than nuscan's own.

    Args:
        axes: matplotlib axes; x: mass in MeV, y: coupling in nuscan's normalisation.
        curve: from `published.load_curves`.
        order: tells several curves apart.
    """
    level = "" if np.isclose(curve.cl, 0.90) else f", {100 * curve.cl:g}% C.L."
    (line,) = axes.plot(
        curve.mass,
        curve.coupling,
        color=style.OTHER_COLOURS[order % len(style.OTHER_COLOURS)],
        linestyle=style.OTHER_LINES[order % len(style.OTHER_LINES)],
        linewidth=1.1,
        label=curve.label + level,
    )
    return line


def spectrum_data(axes: Axes, spectrum: Spectrum) -> Any:
    """Observed contents with central 68.27% Poisson intervals; x in keV, y in the spectrum's unit per bin."""
    shown = spectrum.open_bins
    low, high = spectrum.errors()
    return axes.errorbar(
        spectrum.centres[shown],
        spectrum.observed[shown],
        yerr=(low[shown], high[shown]),
        fmt="o",
        markersize=2.6,
        color="black",
        elinewidth=0.8,
        linewidth=0,
        label="data",
        zorder=4,
    )


def spectrum_model(axes: Axes, spectrum: Spectrum, contents: np.ndarray, fill: bool = False, **options: Any) -> Any:
    """A histogram over the spectrum's bins.

    Args:
        axes: matplotlib axes; x in keV, y in the spectrum's unit per bin.
        spectrum: gives the bins.
        contents: one number per bin, in the spectrum's unit.
        fill: fills the histogram.
        options: passed on to matplotlib's `stairs`.
    """
    return axes.stairs(contents, spectrum.edges, fill=fill, **options)


def spectrum_frame(axes: Axes, spectrum: Spectrum, energy: tuple[float, float]) -> None:
    """Titles and energy range [keV] of a plot of a spectrum."""
    width = spectrum.edges[1] - spectrum.edges[0]
    bin_text = "keV" if np.isclose(width, 1.0) else f"({_fraction(width)} keV)"
    axes.set_xlim(*energy)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel(r"reconstructed energy $E'$ [keV]")
    axes.set_ylabel(f"events / {bin_text}" if spectrum.unit == "events" else f"events / (t yr {bin_text})")


def _fraction(value: float) -> str:
    for denominator in range(1, 11):
        if np.isclose(value * denominator, round(value * denominator)):
            numerator = round(value * denominator)
            return str(numerator) if denominator == 1 else f"{numerator}/{denominator}"
    return f"{value:.3g}"


def line_handle(drawn_as: Style, label: str | None = None) -> Line2D:
    """Line for a legend."""
    return Line2D(
        [], [], color=drawn_as.color, linestyle=drawn_as.linestyle, linewidth=drawn_as.linewidth,
        label=drawn_as.label if label is None else label,
    )  # fmt: skip


def legend_above(figure: Figure, handles: Iterable[Line2D | Patch], columns: int | None = None, height: float = 0.3) -> Legend:
    """Legend in a strip above all panels, where it cannot hide anything. `height` of the strip in inches."""
    handles = list(handles)
    strip = height / figure.get_figheight()
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0.0, 0.0, 1.0, 1.0 - strip))
    return figure.legend(handles=handles, loc="upper center", ncols=columns or len(handles), columnspacing=1.8)


def legend_inside(axes: Axes, handles: Sequence[Line2D | Patch], title: str | None = None) -> Legend:
    """Legend in a corner where it hides no line; above the axes where there is no such corner."""
    figure = axes.get_figure()

    def free(corner: str) -> bool:
        legend = axes.legend(handles=handles, title=title, loc=corner, alignment="left")
        figure.canvas.draw()
        box = legend.get_window_extent().padded(6)
        return not any(crosses(line, box) for line in axes.get_lines())

    for corner in ("lower right", "upper left", "upper right", "lower left", "upper center", "lower center"):
        if free(corner):
            return axes.get_legend()
    return axes.legend(
        handles=handles, title=title, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(2, len(handles)), alignment="left",
        borderaxespad=0.2,
    )  # fmt: skip


def crosses(line: Line2D, box: BboxBase) -> bool:
    """Whether a line, or one of its points, passes through a box in pixels."""
    path = line.get_transform().transform_path(line.get_path())
    points = np.ma.filled(path.vertices, np.nan)
    good = np.isfinite(points).all(axis=1)
    (left, bottom), (right, top) = box.get_points()
    x, y = points[good].T
    if ((left <= x) & (x <= right) & (bottom <= y) & (y <= top)).any():
        return True
    # Points that are not there interrupt a line.
    ends = [-1, *np.flatnonzero(~good), len(points)]
    runs = [points[begin + 1 : end] for begin, end in pairwise(ends)]
    return any(len(run) > 1 and Path(run).intersects_bbox(box, filled=False) for run in runs)


def save(figure: Figure, stem: FilePath, formats: Sequence[str] = ("png", "pdf")) -> list[FilePath]:
    """Writes a figure, one file per format; returns the files.

    The files say nothing of when they were made: the same input gives the same bytes.
    """
    written = []
    for ending in formats:
        path = stem.with_name(f"{stem.name}.{ending}")
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(ending)
        try:
            figure.savefig(path, metadata=metadata)
            # The layout is found; to find it again for the next format would take as long as to draw.
            figure.set_layout_engine("none")
        except OSError as error:
            raise NuscanError(f"{path}: cannot be written ({error.strerror or error})") from error
        except ValueError as error:
            raise NuscanError(f"{path}: {error}") from error
        written.append(path)
    return written
