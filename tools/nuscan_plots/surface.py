"""chi^2 surfaces as `nuscan scan`, `profile` and `limits` leave them in HDF5."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .errors import NuscanError

SCHEMA_MAJOR = 1
CONVERGED = (0, 1)
"""Values of `status` at which chi^2 counts: ok, and ok by the direct route."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a grid. `values` ascend, in `unit`; `label` is LaTeX without dollar signs; `scale` is "linear" or "log"."""

    name: str
    values: np.ndarray
    unit: str
    label: str
    scale: str

    @property
    def logarithmic(self) -> bool:
        return self.scale == "log"


@dataclass(frozen=True, eq=False)
class Intervals:
    """Allowed values of one parameter, in `unit`, at the confidence level `cl`.

    `intervals` has one row per piece, lower and upper end; `open` says what an end is: 0 a crossing of the threshold, 1 only the
    edge of the grid, 2 the physical bound 0.
    """

    parameter: str
    unit: str
    cl: float
    dof: int
    threshold: float
    chi2_min: float
    best_fit: float
    marginal: bool
    profiled_axes: tuple[str, ...]
    intervals: np.ndarray
    open: np.ndarray


@dataclass(frozen=True, eq=False)
class MassCurve:
    """Limit on a coupling for every mass.

    `mass` in `mass_unit`; `upper` in `unit`, NaN where the grid ends before the limit; `definition` is "per_mass" (least chi^2
    of each mass, one degree of freedom) or "plane" (least of the whole plane, two).
    """

    parameter: str
    mass_name: str
    unit: str
    mass_unit: str
    cl: float
    dof: int
    threshold: float
    definition: str
    mass: np.ndarray
    upper: np.ndarray
    intervals: np.ndarray
    chi2_min: np.ndarray


@dataclass(frozen=True, eq=False)
class Contour:
    """Lines of constant chi^2 in a plane: arrays [point][x, y], x along the first axis, in the axes' units."""

    axes: tuple[str, ...]
    cl: float
    dof: int
    threshold: float
    level: float
    lines: list[np.ndarray]
    closed: list[bool]


@dataclass(eq=False)
class Map:
    """chi^2 over axes, with what was derived from it. Base of `Surface` and `Profile`."""

    path: Path
    axes: dict[str, Axis]
    location: str
    """Path of the array of chi^2 in the file."""
    chi2_zero: float
    """chi^2 where every scanned parameter is 0."""
    chi2_min: float
    """Least chi^2, that of the point 0 included."""
    limits: dict[float, dict[str, Intervals | MassCurve]]
    """By confidence level and then by parameter; the curves of a mediator are `<g>_per_mass` and `<g>_plane`."""
    contours: dict[float, Contour]
    """By confidence level."""

    @cached_property
    def chi2(self) -> np.ndarray:
        """chi^2 at every point, read when first asked for; NaN where the computation failed."""
        with _reading(self.path) as file:
            values = _dataset(self.path, file, self.location)[...].astype(float, copy=False)
            if self.location == "grid/chi2":
                values[~np.isin(file["grid/status"][...], CONVERGED)] = np.nan
        return values

    @property
    def delta_chi2(self) -> np.ndarray:
        """chi^2 above its least value, that of the point 0 included."""
        return self.chi2 - self.chi2_min

    @property
    def status(self) -> np.ndarray:
        """0 and 1 where chi^2 is good; other values say why it is NaN (attribute `enumeration` in the file)."""
        with _reading(self.path) as file:
            return _dataset(self.path, file, "grid/status")[...]

    def contour(self, cl: float) -> Contour:
        """The contour at a confidence level for two parameters: the stored one if it is for two, or else computed here."""
        stored = (found for level, found in self.contours.items() if np.isclose(level, cl) and found.dof == 2)
        found = next(stored, None)
        return found if found is not None else compute_contour(self, cl)

    def transposed(self) -> Map:
        """The same plane with its two axes exchanged."""
        axes = dict(reversed(self.axes.items()))
        contours = {
            level: replace(found, axes=tuple(axes), lines=[line[:, ::-1] for line in found.lines])
            for level, found in self.contours.items()
        }
        other = Map(self.path, axes, self.location, self.chi2_zero, self.chi2_min, self.limits, contours)
        other.__dict__["chi2"] = self.chi2.T  # in place of reading it
        return other


@dataclass(eq=False)
class Profile(Map):
    """chi^2 minimised over some axes of a surface."""

    name: str = ""
    profiled_axes: tuple[str, ...] = ()


@dataclass(eq=False)
class Surface(Map):
    """A whole file."""

    experiments: tuple[str, ...] = ()
    title: str = ""
    best_fit: dict[str, float] = field(default_factory=dict)
    """Where chi^2 is least on the grid: value of every parameter."""
    best_fit_chi2: float = float("nan")
    profiles: dict[str, Profile] = field(default_factory=dict)
    """By the names of the axes kept, joined by commas."""
    meta: dict[str, Any] = field(default_factory=dict)
    """How the file was made: program, commit, machine, times, `data_sha256`, `self_check`, the configuration."""


def chi2_threshold(cl: float) -> float:
    """Delta chi^2 of a confidence level for two parameters."""
    return -2.0 * float(np.log1p(-cl))


def compute_contour(surface: Map, cl: float) -> Contour:
    """Contour of a plane at a confidence level for two parameters, as `nuscan limits` computes it."""
    from .contours import contours

    if len(surface.axes) != 2 or min(surface.chi2.shape) < 2:
        shape = ", ".join(f"{name}: {axis.values.size}" for name, axis in surface.axes.items())
        raise NuscanError(
            f"{surface.path}: a contour needs two axes with two nodes or more on each, here they have {shape}; limits of a mediator at a "
            "single mass are drawn with --limits"
        )
    threshold = chi2_threshold(cl)
    level = surface.chi2_min + threshold
    nodes, logarithmic = zip(*((axis.values, axis.logarithmic) for axis in surface.axes.values()), strict=True)
    pieces = contours(list(nodes), list(logarithmic), surface.chi2, [level])[0]
    return Contour(
        tuple(surface.axes), cl, 2, threshold, level, [points for _, points in pieces], [closed for closed, _ in pieces]
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """Opens a file; whatever goes wrong inside becomes a NuscanError of one line."""
    if path.is_dir():
        raise NuscanError(f"{path}: is a folder; give one of the surface files (*.h5) in it")
    if path.exists() and not path.is_file():
        raise NuscanError(f"{path}: is not a regular file; give a surface that nuscan scan wrote")
    if not path.is_file():
        raise NuscanError(f"{path}: no such file; `nuscan scan GRID.toml -o {path.name}` makes one")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        if "file signature not found" in reason:
            raise NuscanError(f"{path}: not an HDF5 file; give a surface that nuscan scan wrote") from error
        if "truncated" in reason:
            raise NuscanError(f"{path}: truncated ({reason}); copy it again, or run the scan again") from error
        raise NuscanError(
            f"{path}: damaged or not a surface of nuscan ({reason}); `nuscan validate {path.name}` tells more"
        ) from error


def _dataset(path: Path, file: h5py.Group, name: str) -> Any:
    if name not in file:
        raise NuscanError(f"{path}: has no {name}; it is no complete surface of nuscan, run the scan again")
    return file[name]


def _plain(value: Any) -> Any:
    """An attribute as plain Python: str, bool, int, float or a tuple of them."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray):
        return tuple(_plain(item) for item in value.tolist()) if value.ndim else _plain(value.item())
    return value.item() if isinstance(value, np.generic) else value


def _names(value: Any) -> tuple[str, ...]:
    value = _plain(value)
    return (value,) if isinstance(value, str) else tuple(value)


def _axis(scale: h5py.Dataset) -> Axis:
    unit, label, kind = (_plain(scale.attrs[key]) for key in ("units", "label", "scale"))
    return Axis(scale.name.rsplit("/", 1)[-1], scale[...].astype(float), unit, label, kind)


def _limit(group: h5py.Group) -> Intervals | MassCurve:
    attribute = {key: _plain(value) for key, value in group.attrs.items()}
    if attribute["kind"] == "curve":
        return MassCurve(
            attribute["parameter"],
            attribute["mass"],
            attribute["unit"],
            attribute["mass_unit"],
            float(attribute["cl"]),
            int(attribute["dof"]),
            float(attribute["threshold"]),
            attribute["definition"],
            *(group[name][...].astype(float) for name in ("mass", "upper", "intervals", "chi2_min")),
        )
    return Intervals(
        attribute["parameter"],
        attribute["unit"],
        float(attribute["cl"]),
        int(attribute["dof"]),
        float(attribute["threshold"]),
        float(attribute["chi2_min"]),
        float(attribute["best_fit"]),
        bool(attribute["marginal"]),
        _names(attribute.get("profiled_axes", ())),
        group["intervals"][...].astype(float),
        group["open"][...],
    )


def _limits(parent: h5py.Group) -> dict[float, dict[str, Intervals | MassCurve]]:
    if "limits" not in parent:
        return {}
    return {
        float(cl): {name: _limit(group) for name, group in by_parameter.items()}
        for cl, by_parameter in parent["limits"].items()
    }


def _contours(parent: h5py.Group) -> dict[float, Contour]:
    found: dict[float, Contour] = {}
    for cl, group in parent["contours"].items() if "contours" in parent else ():
        lines = [group[key] for key in sorted(group, key=int)]
        found[float(cl)] = Contour(
            _names(group.attrs["axes"]),
            float(group.attrs["cl"]),
            int(group.attrs["dof"]),
            float(group.attrs["threshold"]),
            float(group.attrs["level"]),
            [line[...].astype(float) for line in lines],
            [bool(line.attrs["closed"]) for line in lines],
        )
    return found


def _profile(path: Path, group: h5py.Group, axes: dict[str, Axis]) -> Profile:
    name = group.name.rsplit("/", 1)[-1]
    return Profile(
        path,
        {kept: axes[kept] for kept in _names(group.attrs["axes"])},
        f"profiles/{name}/chi2",
        float(group.attrs["chi2_zero"]),
        float(group.attrs["chi2_min"]),
        _limits(group),
        _contours(group),
        name=name,
        profiled_axes=_names(group.attrs["profiled_axes"]),
    )


def _meta(group: h5py.Group) -> dict[str, Any]:
    meta = {key: _plain(value) for key, value in group.attrs.items()}
    for key, item in group.items():
        meta[key] = _plain(item[()]) if isinstance(item, h5py.Dataset) else _meta(item)
    return meta


def _check_numbers(path: Path, chi2: h5py.Dataset) -> None:
    """Refuses a surface without any number; reads no more than it must."""
    for begin in range(0, chi2.shape[0]):
        if np.isfinite(chi2[begin]).any():
            return
    raise NuscanError(f"{path}: chi^2 is NaN at every point; `nuscan info {path.name}` says which points failed and why")


def load(path: str | Path) -> Surface:
    """Reads a file of nuscan.

    Args:
        path: HDF5 file that `nuscan scan` wrote.

    Returns:
        The surface. Arrays of chi^2 are read when first used, everything else at once.

    Raises:
        NuscanError: with one line that says what is wrong with the file and what to do.
    """
    path = Path(path)
    with _reading(path) as file:
        if "schema_major" not in file.attrs:
            raise NuscanError(f"{path}: HDF5, but not a surface of nuscan (no schema version); give one that nuscan scan wrote")
        major, minor = (int(file.attrs[f"schema_{part}"]) for part in ("major", "minor"))
        if major != SCHEMA_MAJOR:
            raise NuscanError(
                f"{path}: has schema {major}.{minor}, this package reads {SCHEMA_MAJOR}.x; use the nuscan_plots that came with "
                "the nuscan that wrote it"
            )
        for name in ("axes", "grid/chi2", "grid/status", "best_fit", "meta"):
            _dataset(path, file, name)
        axes = {name: _axis(_dataset(path, file, f"axes/{name}")) for name in _names(file["axes"].attrs["order"])}
        chi2 = file["grid/chi2"]
        if chi2.shape != tuple(axis.values.size for axis in axes.values()):
            raise NuscanError(
                f"{path}: damaged, chi2 has the shape {chi2.shape} and its axes do not; run the scan again"
            )
        _check_numbers(path, chi2)
        chi2_zero = float(chi2.attrs["chi2_zero"])
        best = file["best_fit"]
        meta = _meta(file["meta"])
        profiles = file["profiles"].items() if "profiles" in file else ()
        return Surface(
            path,
            axes,
            "grid/chi2",
            chi2_zero,
            float(np.fmin(chi2.attrs["chi2_min"], chi2_zero)),
            _limits(file),
            _contours(file),
            experiments=_names(meta["experiments"]),
            title=meta.get("title", ""),
            best_fit={key: float(value) for key, value in _meta(best["parameters"]).items() if key in axes},
            best_fit_chi2=float(best.attrs["chi2"]),
            profiles={name: _profile(path, group, axes) for name, group in profiles},
            meta=meta,
        )
