"""Published numbers to draw or print beside nuscan's own: limits of other experiments (data/limits), exclusion curves that users
put there, and Table I of arXiv:2208.06415 (data/published). Everything comes in nuscan's units and normalisation.

Needs numpy only and nothing else of the package. Formats and conventions: data/limits/README.md.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PublishedError(ValueError):
    """A file that cannot be used. One line: where, what is wrong, what would be right."""


class DataFolderMissing(PublishedError):
    """The package is installed without nuscan's data folder."""


@dataclass(frozen=True)
class PublishedLimit:
    """Allowed values of one parameter, in its unit and in nuscan's normalisation; `lower` is None for the physical bound 0."""

    experiment: str
    parameter: str
    lower: float | None
    upper: float
    unit: str
    cl: float
    reference: str
    note: str = ""
    absolute: bool = False
    """The limit is on the absolute value: `lower` is -`upper`."""
    normalisation: str = ""
    """Whose definition of the parameter the published number follows."""
    factor: float = 1.0
    """What the published number was multiplied by."""


@dataclass(frozen=True, eq=False)
class LimitCurve:
    """An exclusion curve of a mediator: coupling against mass, points in the order in which they are drawn."""

    parameter: str
    mass: NDArray[np.float64]
    """[MeV]"""
    coupling: NDArray[np.float64]
    """g in nuscan's normalisation."""
    label: str
    experiment: str
    reference: str
    cl: float
    note: str = ""
    normalisation: str = "nuscan"
    """As the file says."""
    path: Path = field(default_factory=Path)


@dataclass(frozen=True)
class PaperLimit:
    """A row of Table I of arXiv:2208.06415 as printed, in the parameter's unit; `lower` is None for the physical bound 0."""

    experiment: str
    parameter: str
    unit: str
    lower: float | None
    upper: float | None
    """None, like `lower`, where the paper prints no number."""
    kind: str
    """"reproduced", "fitted" or "prediction": what agreement with it means."""
    cl: float
    misprint: bool = False
    compare_with: float | None = None
    """Instead of `upper` where that is a misprint."""
    note: str = ""
    expected_lower: float | None = None
    expected_upper: float | None = None
    """What a faithful code reaches."""

    @property
    def upper_reference(self) -> float | None:
        """The upper end to compare with."""
        return self.upper if self.compare_with is None else self.compare_with


# --- where the files are --------------------------------------------------------------------------------------------------------

# The same in the source tree (tools/nuscan_plots) and in an installation (share/nuscan/python/nuscan_plots).
_BESIDE = Path(__file__).resolve().parents[2] / "data"


def data_folder() -> Path:
    """nuscan's data folder: NUSCAN_DATA_DIR, or the one that belongs to this module, or to the nuscan on PATH.

    Raises:
        DataFolderMissing: there is none of them.
        PublishedError: NUSCAN_DATA_DIR names no folder.
    """
    if named := os.environ.get("NUSCAN_DATA_DIR"):
        if not Path(named).is_dir():
            raise PublishedError(f"environment variable NUSCAN_DATA_DIR: {named}: no such data folder")
        return Path(named)
    places = [_BESIDE]
    if program := shutil.which("nuscan"):
        places.append(Path(program).resolve().parents[1] / "share" / "nuscan" / "data")
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(map(str, places))
    raise DataFolderMissing(f"data folder not found (looked at {looked}); set NUSCAN_DATA_DIR to the folder data/ of nuscan")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PublishedError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PublishedError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise PublishedError(f"{path}: not TOML: {error}") from error


# --- entries of TOML files ------------------------------------------------------------------------------------------------------

_FLAVOURS = ("e", "mu", "tau")
UNITS = {
    **{f"mu_{f}": "mu_B" for f in (*_FLAVOURS, "universal")},
    **{f"Lambda_{i}": "mu_B" for i in (1, 2, 3, "norm")},
    **{f"q_{f}": "e" for f in _FLAVOURS},
    **{f"{kind}_{f}": "cm^2" for kind in ("r2", "a") for f in _FLAVOURS},
}
"""Parameters that have limits, and their units. Lambda_norm is sqrt(|Lambda_1|^2 + |Lambda_2|^2 + |Lambda_3|^2)."""

_LIMIT_KEYS = {
    "experiment", "reference", "parameter", "unit", "cl", "lower", "upper", "absolute", "normalisation", "factor", "note",
}  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """One [[limit]] of a TOML file, which knows where it is."""

    path: Path
    number: int
    values: dict[str, Any]

    def fail(self, what: str) -> PublishedError:
        names = (str(self.values.get(key, f"no {key}")) for key in ("experiment", "parameter"))
        return PublishedError(f"{self.path}: limit {self.number} ({', '.join(names)}): {what}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.fail(f"{key} must be a text" + ("; it is missing" if key not in self.values else f", not {value!r}"))
        return value

    def number_or_none(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(f"{key} must be a finite number, not {value!r}")
        return float(value)

    def required_number(self, key: str) -> float:
        value = self.number_or_none(key)
        if value is None:
            raise self.fail(f"{key} is missing; it must be a finite number")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{key} must be true or false, not {value!r}")
        return value


def _entries(path: Path, content: dict[str, Any]) -> Iterator[_Entry]:
    limits = content.get("limit")
    if not isinstance(limits, list) or not all(isinstance(entry, dict) for entry in limits):
        raise PublishedError(f"{path}: holds no [[limit]] tables")
    return (_Entry(path, number, entry) for number, entry in enumerate(limits, start=1))


def _limit(entry: _Entry) -> PublishedLimit:
    for key in entry.values:
        if key not in _LIMIT_KEYS:
            raise entry.fail(f"unknown key '{key}'; known are {', '.join(sorted(_LIMIT_KEYS))}")
    experiment, parameter = entry.text("experiment"), entry.text("parameter")
    if parameter not in UNITS:
        raise entry.fail(f"unknown parameter; known are {', '.join(UNITS)}")
    unit = entry.text("unit")
    if unit != UNITS[parameter]:
        raise entry.fail(f"unit must be '{UNITS[parameter]}', not '{unit}'; convert the numbers")
    cl = entry.required_number("cl")
    if not 0.0 < cl < 1.0:
        raise entry.fail(f"cl must lie between 0 and 1, not {cl:g}; 90 % is 0.90")
    factor = 1.0 if "factor" not in entry.values else entry.required_number("factor")
    if factor == 0.0:
        raise entry.fail("factor must not be 0; 1 where the definition is nuscan's")
    lower, upper, absolute = entry.number_or_none("lower"), entry.required_number("upper"), entry.flag("absolute")
    moment = unit == "mu_B"
    if absolute:
        if lower is not None or upper < 0.0:
            raise entry.fail("with absolute = true, upper is the limit on the absolute value and there is no lower")
        lower = -upper
    if moment and (lower is not None or upper <= 0.0 or factor < 0.0):
        raise entry.fail("a moment has the physical bound 0: give a positive upper, and neither lower nor absolute")
    if not moment and lower is None:
        raise entry.fail("lower is missing; where the limit is on the absolute value, write absolute = true")
    if lower is not None and not lower < upper:
        raise entry.fail(f"lower must be below upper, not {lower:g} and {upper:g}")
    ends = sorted(factor * end for end in (lower, upper) if end is not None)
    return PublishedLimit(
        experiment,
        parameter,
        None if lower is None else ends[0],
        ends[-1],
        unit,
        cl,
        entry.text("reference"),
        entry.text("note", ""),
        absolute,
        entry.text("normalisation"),
        factor,
    )


def load_limits(folder: Path | str | None = None) -> list[PublishedLimit]:
    """Limits of other experiments, in the order of the file.

    Args:
        folder: folder that holds `limits.toml`; default `limits` of the data folder.

    Raises:
        PublishedError: the file is missing or wrong.
    """
    path = (data_folder() / "limits" if folder is None else Path(folder)) / "limits.toml"
    return [_limit(entry) for entry in _entries(path, _read_toml(path))]


def load_paper_table1(path: Path | str | None = None) -> list[PaperLimit]:
    """Table I of arXiv:2208.06415, in the order of the file, with the limits it prints no number for.

    Args:
        path: default `published/paper_table1.toml` of the data folder.

    Raises:
        PublishedError: the file is missing or wrong.
    """
    path = data_folder() / "published" / "paper_table1.toml" if path is None else Path(path)
    content = _read_toml(path)
    cl = content.get("cl")
    if not isinstance(cl, float) or not 0.0 < cl < 1.0:
        raise PublishedError(f"{path}: cl must be a number between 0 and 1, not {cl!r}")
    rows: list[PaperLimit] = []
    for entry in _entries(path, content):
        misprint, compare_with = entry.flag("paper_misprint"), entry.number_or_none("compare_with")
        if misprint != (compare_with is not None):
            raise entry.fail("paper_misprint and compare_with must stand together")
        rows.append(
            PaperLimit(
                entry.text("experiment"),
                entry.text("parameter"),
                entry.text("unit"),
                entry.number_or_none("paper_lower"),
                entry.number_or_none("paper_upper"),
                entry.text("kind"),
                cl,
                misprint,
                compare_with,
                entry.text("note", ""),
                entry.number_or_none("expected_lower"),
                entry.number_or_none("expected_upper"),
            )
        )
    return rows


# --- curves ---------------------------------------------------------------------------------------------------------------------

CHIRAL_FACTORS = {"g_S": 1.0, "g_P": 1.0, "g_V": 2.0, "g_A": 2.0, "g_T": 1.0}
"""g^2 of nuscan over g^2 of a Lagrangian with left-handed neutrino currents; data/limits/README.md derives it."""
MASS_UNITS = {"eV": 1e-6, "keV": 1e-3, "MeV": 1.0, "GeV": 1e3}
"""In MeV."""

_REQUIRED = ("experiment", "reference", "cl", "parameter", "mass_unit", "coupling", "normalisation")
_OPTIONAL = ("label", "source", "licence", "note")
# A header line is `# key: value`; other comments are free as long as they do not look like one.
_HEADER = re.compile(r"#\s*([A-Za-z_]\w*)\s*:(.*)")


class _CurveFile:
    """A curve's file while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.rows: list[tuple[float, float]] = []
        for number, line in enumerate(_read_text(path).splitlines(), start=1):
            line = line.strip()
            if line.startswith("#"):
                self._comment(number, line)
            elif line:
                self._row(number, line)
        for key in _REQUIRED:
            if key not in self.header:
                raise PublishedError(f"{path}: {key} is missing; add a line '# {key}: {_RIGHT[key]}'")
        if len(self.rows) < 2:
            raise PublishedError(f"{path}: {len(self.rows)} rows of numbers; a curve has at least 2 of 'mass, coupling'")

    def fail(self, number: int, what: str) -> PublishedError:
        return PublishedError(f"{self.path}:{number}: {what}")

    def wrong(self, key: str) -> PublishedError:
        return self.fail(self.lines[key], f"{key} is '{self.header[key]}'; it must be {_RIGHT[key]}")

    def _comment(self, number: int, line: str) -> None:
        found = _HEADER.match(line)
        if not found:
            return
        key, value = found[1], found[2].strip()
        if key not in _REQUIRED and key not in _OPTIONAL:
            if found[2][:1] not in ("", " ", "\t"):  # an address, not a key
                return
            known = ", ".join((*_REQUIRED, *_OPTIONAL))
            raise self.fail(number, f"unknown key '{key}'; known are {known}; free text goes behind '# note:'")
        if not value:
            raise self.fail(number, f"{key} is empty; it must be {_RIGHT.get(key, 'a text')}")
        if key == "note" and key in self.header:
            value = f"{self.header[key]} {value}"
        elif key in self.header:
            raise self.fail(number, f"{key} is given a second time, first in line {self.lines[key]}; remove one")
        self.header[key] = value
        self.lines[key] = number

    def _row(self, number: int, line: str) -> None:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 2:
            raise self.fail(
                number,
                f"'{line}' has {len(cells)} columns; a row is 'mass, coupling': two numbers with decimal points and a comma",
            )
        values: list[float] = []
        for name, cell in zip(("mass", "coupling"), cells, strict=True):
            try:
                value = float(cell)
            except ValueError:
                raise self.fail(number, f"{name} is '{cell}', not a number; a line without numbers starts with #") from None
            if not (math.isfinite(value) and value > 0.0):
                raise self.fail(number, f"{name} is {cell}; it must be positive and finite (no logarithm)")
            values.append(value)
        self.rows.append((values[0], values[1]))

    def number(self, key: str) -> float:
        try:
            return float(self.header[key])
        except ValueError:
            raise self.wrong(key) from None

    def confidence(self) -> float:
        cl = self.number("cl")
        if not 0.0 < cl < 1.0:
            raise self.wrong("cl")
        return cl

    def choice(self, key: str, allowed: dict[str, float]) -> float:
        if self.header[key] not in allowed:
            raise self.wrong(key)
        return allowed[self.header[key]]

    def squared_factor(self) -> float:
        """g^2 of nuscan over g^2 of the file."""
        words = self.header["normalisation"]
        if words == "nuscan":
            return 1.0
        if words == "chiral":
            return CHIRAL_FACTORS[self.header["parameter"]]
        name, equals, value = words.partition("=")
        try:
            factor = float(value)
        except ValueError:
            raise self.wrong("normalisation") from None
        if name.strip() != "factor" or not equals or not (math.isfinite(factor) and factor > 0.0):
            raise self.wrong("normalisation")
        return factor


_COUPLINGS = {"g": 1.0, "g^2": 0.5}
"""Power that turns the column into g."""
_RIGHT = {
    "experiment": "the name of the experiment",
    "reference": "an arXiv number, DOI or journal",
    "cl": "a number between 0 and 1, such as 0.90",
    "parameter": "one of " + ", ".join(CHIRAL_FACTORS),
    "mass_unit": "one of " + ", ".join(MASS_UNITS),
    "coupling": "g or g^2",
    "normalisation": "nuscan, chiral or factor=F with F > 0, g^2 of nuscan over g^2 of the file",
}


def read_curve(path: Path | str) -> LimitCurve:
    """One curve from its file.

    Raises:
        PublishedError: the file is missing or wrong.
    """
    file = _CurveFile(Path(path))
    header = file.header
    file.choice("parameter", CHIRAL_FACTORS)
    mass_unit = file.choice("mass_unit", MASS_UNITS)
    power = file.choice("coupling", _COUPLINGS)
    factor, cl = file.squared_factor(), file.confidence()
    rows = np.array(file.rows, dtype=np.float64)
    return LimitCurve(
        parameter=header["parameter"],
        mass=mass_unit * rows[:, 0],
        coupling=math.sqrt(factor) * rows[:, 1] ** power,
        label=header.get("label", header["experiment"]),
        experiment=header["experiment"],
        reference=header["reference"],
        cl=cl,
        note=header.get("note", ""),
        normalisation=header["normalisation"],
        path=file.path,
    )


def _curve_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and not path.name.startswith("."))


def load_curves(folder: Path | str | None = None, parameter: str | None = None) -> list[LimitCurve]:
    """Exclusion curves of mediators, by file name. Every file is checked, whichever curves are wanted.

    Args:
        folder: folder with CSV files; default `limits/curves` of the data folder and, if set, the folder NUSCAN_LIMITS_DIR.
        parameter: coupling wanted (g_S, g_P, g_V, g_A, g_T); default all.

    Raises:
        PublishedError: a folder is missing or a file is wrong.
    """
    if parameter is not None and parameter not in CHIRAL_FACTORS:
        raise PublishedError(f"parameter is '{parameter}'; it must be {_RIGHT['parameter']}")
    files: list[Path] = []
    if folder is not None:
        if not Path(folder).is_dir():
            raise PublishedError(f"{folder}: no such folder")
        files = _curve_files(Path(folder))
    else:
        shipped = data_folder() / "limits" / "curves"
        if shipped.is_dir():
            files = _curve_files(shipped)
        if named := os.environ.get("NUSCAN_LIMITS_DIR"):
            own = Path(named)
            if not own.is_dir():
                raise PublishedError(f"environment variable NUSCAN_LIMITS_DIR: {named}: no such folder")
            found = _curve_files(own)
            if not found:
                raise PublishedError(f"environment variable NUSCAN_LIMITS_DIR: {named}: holds no file *.csv")
            if not (shipped.is_dir() and own.samefile(shipped)):
                files += found
    curves = [read_curve(path) for path in files]
    return [curve for curve in curves if parameter is None or curve.parameter == parameter]
