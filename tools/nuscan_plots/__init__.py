"""Reads and plots the chi^2 surfaces of nuscan.

    import nuscan_plots
    surface = nuscan_plots.load("vector.h5")
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "Axis": "surface",
    "Contour": "surface",
    "Intervals": "surface",
    "MassCurve": "surface",
    "NuscanError": "errors",
    "Profile": "surface",
    "Surface": "surface",
    "load": "surface",
}

__all__ = ["Axis", "Contour", "Intervals", "MassCurve", "NuscanError", "Profile", "Surface", "load"]


def __getattr__(name: str) -> Any:
    # Only when asked for: nuscan_plots.contours and nuscan_plots.published must start, and say what is missing, without the rest.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
