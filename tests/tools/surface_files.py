"""Small surface files with known answers, laid out as nuscan writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True)
class SyntheticAxis:
    """An axis of a file; `values` in `unit`."""

    name: str
    values: np.ndarray
    unit: str
    label: str
    scale: str = "linear"


def write_surface(
    path: Path, axes: list[SyntheticAxis], chi2: np.ndarray, chi2_zero: float, experiments: tuple[str, ...] = ("xenonnt_sr0",)
) -> Path:
    """Writes chi^2 over axes as `nuscan scan` does; no limits, profiles or contours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["schema_major"], file.attrs["schema_minor"] = 1, 2
        group = file.create_group("axes")
        group.attrs["order"] = [axis.name for axis in axes]
        for axis in axes:
            dataset = group.create_dataset(axis.name, data=axis.values)
            dataset.attrs.update({"units": axis.unit, "label": axis.label, "scale": axis.scale, "long_name": axis.name})
        dataset = file.create_dataset("grid/chi2", data=chi2)
        lowest = float(np.nanmin(chi2)) if np.isfinite(chi2).any() else float("nan")
        dataset.attrs.update({"chi2_min": lowest, "chi2_zero": chi2_zero, "chi2_sm": chi2_zero})
        file.create_dataset("grid/status", data=np.where(np.isfinite(chi2), 0, 3).astype(np.uint8))
        best = file.create_group("best_fit")
        best.attrs["chi2"] = lowest
        node = np.unravel_index(int(np.nanargmin(chi2)) if np.isfinite(chi2).any() else 0, chi2.shape)
        parameters = best.create_group("parameters")
        parameters.attrs.update({axis.name: axis.values[i] for axis, i in zip(axes, node, strict=True)})
        meta = file.create_group("meta")
        meta.attrs.update({"experiments": list(experiments), "failed": False, "version": "0.1.0", "commit": "unknown"})
        meta["title"] = "synthetic"
    return path


def write_intervals(path: Path, parameter: str, unit: str, intervals: list[list[float]], open_ends: list[list[int]]) -> None:
    """Adds 90% C.L. intervals of one parameter."""
    with h5py.File(path, "a") as file:
        group = file.create_group(f"limits/0.9/{parameter}")
        group.attrs.update(
            {
                "kind": "intervals", "parameter": parameter, "unit": unit, "cl": 0.9, "dof": 1, "threshold": 2.705543454095414,
                "chi2_min": 10.0, "best_fit": 0.0, "marginal": False,
            }
        )  # fmt: skip
        group["intervals"] = np.array(intervals, dtype=float)
        group["open"] = np.array(open_ends, dtype=np.uint8)


def write_curve(path: Path, mediator: str, mass: np.ndarray, upper: np.ndarray) -> None:
    """Adds the 90% C.L. limit on g of a mediator ("V") for each mass."""
    with h5py.File(path, "a") as file:
        group = file.create_group(f"limits/0.9/g_{mediator}_per_mass")
        group.attrs.update(
            {
                "kind": "curve", "parameter": f"g_{mediator}", "mass": f"m_{mediator}", "unit": "1", "mass_unit": "MeV", "cl": 0.9,
                "dof": 1, "threshold": 2.705543454095414, "definition": "per_mass",
            }
        )  # fmt: skip
        group["mass"], group["upper"] = mass, upper
        group["intervals"] = np.stack([np.zeros_like(upper), upper], axis=-1)[:, None, :]
        group["chi2_min"] = np.full_like(upper, 10.0)


def write_mediator(path: Path, mediator: str, experiment: str, light: float) -> Path:
    """A mediator whose limit is `light` up to 0.1 MeV and then grows in proportion to the mass; surface and curve."""
    mass, coupling = np.geomspace(1e-4, 1e2, 61), np.geomspace(1e-8, 1e-2, 41)
    upper = light * np.maximum(1.0, mass / 0.1)
    chi2 = 10.0 + 2.705543454095414 * (coupling[None, :] / upper[:, None]) ** 4
    axes = [
        SyntheticAxis(f"m_{mediator}", mass, "MeV", f"m_{mediator}", "log"),
        SyntheticAxis(f"g_{mediator}", coupling, "1", f"g_{mediator}", "log"),
    ]
    write_surface(path, axes, chi2, 10.0, (experiment,))
    write_curve(path, mediator, mass, upper)
    return path
