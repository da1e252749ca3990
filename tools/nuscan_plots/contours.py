"""Contours of a plane of chi^2 in a surface file, printed as JSON: `nuscan limits` starts this.

    python3 -m nuscan_plots.contours FILE [--profile NAME] --level CHI2 [--level CHI2 ...]

    {"levels": [{"level": CHI2, "pieces": [{"closed": true, "points": [[x, y], ...]}, ...]}, ...]}

x runs along the first axis of the plane, y along the second, both in the axes' own units. Contours are followed in ln of a log
axis. Points that failed are left out: a contour ends beside them, as it does at the edge of the plane. Nothing else of this package is
needed, so that plotting libraries may be missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import NoReturn

EXIT_PACKAGES_MISSING = 3

try:
    import contourpy
    import h5py
    import numpy as np
except ImportError as problem:
    print(f"{sys.executable} has no module '{problem.name}'", file=sys.stderr)
    sys.exit(EXIT_PACKAGES_MISSING)

SCHEMA_MAJOR = 1


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


def text(value: object) -> str:
    """An HDF5 string, of whichever kind."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def read_plane(path: str, profile: str | None) -> tuple[list[np.ndarray], list[bool], np.ndarray]:
    """Nodes of the two axes, whether each is logarithmic, and chi^2[x, y]."""
    try:
        with h5py.File(path, "r") as file:
            if int(file.attrs["schema_major"]) != SCHEMA_MAJOR:
                fail(f"{path}: schema {file.attrs['schema_major']}; this program reads {SCHEMA_MAJOR}")
            if profile is None:
                names, chi2 = file["axes"].attrs["order"], file["grid/chi2"]
            else:
                group = file["profiles"][profile]
                names, chi2 = group.attrs["axes"], group["chi2"]
            scales = [file["axes"][text(name)] for name in names]
            nodes = [scale[...].astype(float) for scale in scales]
            logarithmic = [text(scale.attrs["scale"]) == "log" for scale in scales]
            values = chi2[...].astype(float)
    except (OSError, KeyError, ValueError, TypeError) as error:
        fail(f"{path}: {' '.join(str(error).split())}")
    if len(nodes) != 2 or values.shape != (nodes[0].size, nodes[1].size) or min(values.shape) < 2:
        fail(f"{path}: a contour needs two axes of two points or more, not a shape of {values.shape}")
    return nodes, logarithmic, values


def contours(
    nodes: list[np.ndarray], logarithmic: list[bool], chi2: np.ndarray, levels: list[float]
) -> list[list[tuple[bool, np.ndarray]]]:
    """For each level its pieces: whether closed, and points [n, 2]."""
    plane = Plane(nodes, logarithmic, chi2)
    result = []
    for level in levels:
        pieces = []
        if level > plane.lowest:
            lines, codes = plane.generator.lines(plane.root(level))
            # The last point of a closed line is its first (code 79, CLOSEPOLY).
            pieces = [(bool(code[-1] == 79), plane.in_units(line)) for line, code in zip(lines, codes)]
        result.append(pieces)
    return result


def regions(
    nodes: list[np.ndarray], logarithmic: list[bool], chi2: np.ndarray, level: float, allowed: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What `contours` encloses: polygons with chi^2 up to a level (or from it on), each as points [n, 2] and matplotlib path codes,
    holes included. Its edges are the contours themselves, as both are followed in the same coordinates."""
    plane = Plane(nodes, logarithmic, chi2)
    if not level > plane.lowest:  # NaN included
        if allowed or not np.isfinite(plane.lowest):
            return []
        lower, upper = -1.0, plane.highest + 1.0
    else:
        root = plane.root(level)
        lower, upper = (-1.0, root) if allowed else (root, max(root, plane.highest) + 1.0)
    polygons, codes = plane.generator.filled(lower, upper)
    return [(plane.in_units(points), code) for points, code in zip(polygons, codes)]


class Plane:
    """A plane of chi^2 in the coordinates in which contours are followed: ln of a log axis, and sqrt(chi^2 - least chi^2)."""

    def __init__(self, nodes: list[np.ndarray], logarithmic: list[bool], chi2: np.ndarray) -> None:
        good = np.isfinite(chi2)
        self.lowest = float(chi2[good].min()) if good.any() else float("nan")
        # The root has the same contours and is close to linear where chi^2 is parabolic, which linear interpolation between nodes likes.
        root = np.ma.masked_array(np.sqrt(np.where(good, chi2, self.lowest) - self.lowest), mask=~good)
        self.highest = float(root.max()) if good.any() else float("nan")
        axes = [np.log(axis) if log else axis for axis, log in zip(nodes, logarithmic)]
        # contourpy takes coordinates of any size, but looks for equal ends to close a line: give it nodes of order one.
        self._begin = np.array([axis[0] for axis in axes])
        self._unit = np.array([np.ptp(axis) for axis in axes])
        self._logarithmic = logarithmic
        x, y = ((axis - begin) / unit for axis, begin, unit in zip(axes, self._begin, self._unit))
        self.generator = contourpy.contour_generator(
            x, y, root.T, line_type=contourpy.LineType.SeparateCode, fill_type=contourpy.FillType.OuterCode
        )

    def root(self, level: float) -> float:
        """The value of the interpolated function at chi^2 = `level`."""
        return float(np.sqrt(level - self.lowest))

    def in_units(self, points: np.ndarray) -> np.ndarray:
        """Points of contourpy in the axes' own units."""
        points = points * self._unit + self._begin
        for column, log in enumerate(self._logarithmic):
            if log:
                points[:, column] = np.exp(points[:, column])
        return points


def main() -> None:
    parser = argparse.ArgumentParser(prog="nuscan_plots.contours", description=__doc__.splitlines()[0])
    parser.add_argument("file", help="surface file (HDF5)")
    parser.add_argument("--profile", help="name of a stored profile, for example Lambda_1,Lambda_2; default: the surface itself")
    parser.add_argument("--level", type=float, action="append", required=True, help="chi^2 on the contour; may repeat")
    options = parser.parse_args()
    nodes, logarithmic, chi2 = read_plane(options.file, options.profile)
    levels = [
        {"level": level, "pieces": [{"closed": closed, "points": points.tolist()} for closed, points in pieces]}
        for level, pieces in zip(options.level, contours(nodes, logarithmic, chi2, options.level))
    ]
    json.dump({"levels": levels}, sys.stdout)


if __name__ == "__main__":
    main()
