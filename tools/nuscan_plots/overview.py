"""One picture of any number of surfaces over the same axes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from . import draw, style  # noqa: E402
from .errors import NuscanError  # noqa: E402
from .published import DataFolderMissing, load_curves  # noqa: E402
from .style import Style  # noqa: E402
from .surface import Map, Surface, load  # noqa: E402


def chosen(surface: Surface, profile: str | None) -> Map:
    """The surface itself, or one of its profiles."""
    if profile is None:
        return surface
    wanted = set(profile.split(","))
    for name, found in surface.profiles.items():
        if set(name.split(",")) == wanted:
            return found
    if wanted == set(surface.axes):
        return surface
    stored = ", ".join(surface.profiles) or "none"
    raise NuscanError(
        f"{surface.path}: holds no profile {profile} (stored: {stored}); run `nuscan profile {surface.path} --keep "
        f"{profile.replace(',', ' ')}`"
    )


def styles(surfaces: Sequence[Surface]) -> list[Style]:
    """A style for each: those without one of their own, and the second of an experiment, get the next colour."""
    found: list[Style] = []
    for order, surface in enumerate(surfaces):
        own = style.of(surface.experiments, order)
        if any(own == other for other in found):
            own = Style(
                f"{own.label}, {surface.path.stem}",
                style.OTHER_COLOURS[order % len(style.OTHER_COLOURS)],
                style.OTHER_LINES[order % len(style.OTHER_LINES)],
            )
        found.append(own)
    return found


def draw_files(
    paths: Sequence[Path], output: Path, profile: str | None = None, cls: Sequence[float] = (0.90,), limits: bool = False
) -> None:
    """Draws surfaces into one picture.

    Args:
        paths: files over one or two axes, the same in all.
        output: picture; its ending chooses the format.
        profile: names of kept axes, joined by commas: draw this profile of each file.
        cls: confidence levels of contours.
        limits: of a mediator, draw the stored limits against mass in place of contours.

    Raises:
        NuscanError: a file that cannot be drawn, or that does not fit the others.
    """
    surfaces = [load(path) for path in paths]
    maps = [mass_first(chosen(surface, profile)) for surface in surfaces]
    names = list(maps[0].axes)
    for surface, shown in zip(surfaces, maps, strict=True):
        if list(shown.axes) != names:
            raise NuscanError(f"{surface.path}: its axes are {', '.join(shown.axes)}, those of {surfaces[0].path} {', '.join(names)}")
        if surface.meta.get("failed"):
            print(f"{surface.path}: failed its self-check; do not trust it", file=sys.stderr)
    style.use()
    figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
    looks = styles(surfaces)
    handles = [draw.line_handle(look) for look in looks]
    if len(names) == 1:
        for shown, look in zip(maps, looks, strict=True):
            draw.profile(axes, shown, look)
        draw.profile_frame(axes, maps[0].axes[names[0]])
        draw.legend_inside(axes, [*handles, draw.line_handle(draw.THRESHOLD)])
    elif len(names) == 2:
        handles += planes(axes, surfaces, maps, looks, cls, limits)
        title = f"{100 * cls[0]:g}% C.L." + (", shaded: excluded" if mediator(names) else ", shaded: allowed")
        if len(cls) > 1 and not limits:
            title += f"; thin: {', '.join(f'{100 * cl:g}%' for cl in cls[1:])}"
        draw.legend_inside(axes, handles, title)
    else:
        raise NuscanError(
            f"{surfaces[0].path}: has {len(names)} axes; choose a profile: --profile {names[0]},{names[1]}"
        )
    draw.save(figure, output.with_suffix(""), [output.suffix.removeprefix(".") or "png"])
    plt.close(figure)


def mediator(names: Sequence[str]) -> bool:
    """Whether two axes are mass and coupling, in this order."""
    return len(names) == 2 and names[0].startswith("m_") and names[1] == f"g_{names[0][2:]}"


def mass_first(shown: Map) -> Map:
    """Of a mediator the plane with the mass as its first axis, as everybody draws it."""
    return shown.transposed() if mediator(list(reversed(shown.axes))) else shown


def best_fit(surface: Surface, names: Sequence[str]) -> tuple[float, float] | None:
    """The lowest point of the grid in a plane, if the point 0 is not lower."""
    if not surface.best_fit_chi2 <= surface.chi2_zero or any(name not in surface.best_fit for name in names):
        return None
    return surface.best_fit[names[0]], surface.best_fit[names[1]]


def planes(
    axes: Axes, surfaces: Sequence[Surface], maps: Sequence[Map], looks: Sequence[Style], cls: Sequence[float], limits: bool
) -> list[Line2D]:
    """Contours, or limits against mass; returns what else belongs into the legend."""
    names = list(maps[0].axes)
    draw.plane_frame(axes, maps[0])
    for surface, shown, look in zip(surfaces, maps, looks, strict=True):
        if limits:
            draw.exclusion(axes, draw.mass_curve(shown, cls[0]), look)
            continue
        shade = "excluded" if mediator(names) else "allowed"
        if not draw.plane(axes, shown, look, cls, shade, best_fit(surface, names)):
            above = shown.contour(cls[0]).level - shown.chi2_min
            what = "nothing" if np.nanmin(shown.delta_chi2) <= above else "everything"
            print(f"{surface.path}: {what} is excluded at {100 * cls[0]:g}% C.L.", file=sys.stderr)
    if not mediator(names):
        return []
    try:
        curves = load_curves(parameter=names[1])
    except DataFolderMissing as error:
        print(f"no curves of other experiments: {error}", file=sys.stderr)
        curves = []
    return [draw.published_curve(axes, curve, order) for order, curve in enumerate(curves)]
