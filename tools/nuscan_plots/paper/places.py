"""Where the program and the grids are."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import NuscanError

# The same in the source tree (tools/nuscan_plots) and in an installation (share/nuscan/python/nuscan_plots).
ROOT = Path(__file__).resolve().parents[3]
GRIDS = ROOT / "grids" / "paper"


def program() -> Path:
    """The nuscan to use: the one that NUSCAN names, that of the source tree's release build, or the installed one."""
    named = os.environ.get("NUSCAN")
    candidates = [Path(named)] if named else [ROOT / "build" / "release" / "nuscan", ROOT.parents[1] / "bin" / "nuscan"]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise NuscanError(
        f"{candidates[0]}: no program there; build it with `cmake --preset release && cmake --build --preset release "
        "--target nuscan`, or name another one: NUSCAN=/path/to/nuscan"
    )


def require_grids() -> None:
    """Ends with what to do where the package was installed without the grids."""
    if not GRIDS.is_dir():
        raise NuscanError(f"{GRIDS}: no such folder; run tools/reproduce-paper from the source tree of nuscan")
