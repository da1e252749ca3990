"""tools/nuscan_plots/published.py: every number of data/limits, the conversions of curves, and what it says to a wrong file."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tools" / "nuscan_plots" / "published.py"


def load(path: Path) -> types.ModuleType:
    """The module by itself, as if the rest of the package were not there."""
    spec = importlib.util.spec_from_file_location("published", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["published"] = module
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


published = load(MODULE)


class Case(unittest.TestCase):
    """A temporary folder, and no environment variable of nuscan."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("NUSCAN_")}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def fails(self, call: Any, *words: str) -> None:
        """One line that holds all words."""
        with self.assertRaises(published.PublishedError) as caught:
            call()
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        for word in words:
            self.assertIn(word, message)


MU, Q, R2 = 1e-11, 1e-12, 1e-32
# Table I of arXiv:2208.06415 in its own units; None: the bound 0.
TABLE1 = [
    ("Borexino Phase-II", "arXiv:2204.03011", "mu_e", MU, None, 3.7),
    ("Borexino Phase-II", "arXiv:2204.03011", "mu_mu", MU, None, 5),
    ("Borexino Phase-II", "arXiv:2204.03011", "mu_tau", MU, None, 5.9),
    ("TEXONO", "arXiv:hep-ex/0605006", "mu_e", MU, None, 7.4),
    ("GEMMA", "Adv. High Energy Phys. 2012 (2012) 350150", "mu_e", MU, None, 2.9),
    ("reactor, germanium", "arXiv:1405.7168", "q_e", Q, -1, 1),
    ("Dresden-II", "arXiv:2205.09484", "q_e", Q, -9.3, 9.5),
    ("XMASS-I", "arXiv:2005.11891", "q_mu", Q, -11, 11),
    ("XMASS-I", "arXiv:2005.11891", "q_tau", Q, -11, 11),
    ("TEXONO", "arXiv:0911.1597", "r2_e", R2, -4.2, 6.6),
    ("LSND", "arXiv:hep-ex/0101039", "r2_e", R2, -5.94, 8.28),
    ("COHERENT + Dresden-II", "arXiv:2205.09484", "r2_e", R2, -7.1, 5),
    ("CHARM-II", "Phys. Lett. B 345 (1995) 115", "r2_mu", R2, -1.2, 1.2),
    ("COHERENT + Dresden-II", "arXiv:2205.09484", "r2_mu", R2, -5.9, 4.3),
    # 95 % C.L., beside the table
    ("globular cluster M5, plasmon decay", "arXiv:1308.4627", "Lambda_norm", 1e-12, None, 4.5),
    ("XENONnT", "arXiv:2207.11330", "mu_universal", 1e-12, None, 6.4),
]
UNITS = {"mu": "mu_B", "Lambda": "mu_B", "q": "e", "r2": "cm^2"}


class Limits(Case):
    def test_every_number(self) -> None:
        limits = {(limit.experiment, limit.parameter): limit for limit in published.load_limits()}
        self.assertEqual(len(limits), len(TABLE1))
        self.assertEqual(len(published.load_limits()), len(TABLE1))
        for experiment, reference, parameter, scale, lower, upper in TABLE1:
            with self.subTest(experiment=experiment, parameter=parameter):
                limit = limits[experiment, parameter]
                self.assertEqual(limit.reference, reference)
                self.assertEqual(limit.unit, UNITS[parameter.split("_")[0]])
                self.assertAlmostEqual(limit.upper / scale, upper, 12)
                if lower is None:
                    self.assertIsNone(limit.lower)
                else:
                    self.assertAlmostEqual(limit.lower / scale, lower, 12)
                self.assertEqual(limit.cl, 0.95 if parameter == "Lambda_norm" else 0.90)
                self.assertEqual(limit.factor, 1.0)
                source = "arXiv:2207.11330" if experiment == "XENONnT" else "as quoted in arXiv:2208.06415"
                self.assertIn(source, limit.normalisation)
                self.assertEqual(limit.absolute, experiment in ("XMASS-I", "reactor, germanium"))

    ENTRY = {
        "experiment": '"X"', "reference": '"arXiv:0"', "parameter": '"r2_e"', "unit": '"cm^2"', "cl": "0.90",
        "lower": "-1e-32", "upper": "3e-32", "normalisation": '"own"',
    }  # fmt: skip

    def entry(self, **changes: str | None) -> Path:
        lines = {**self.ENTRY, **changes}
        text = "\n".join(f"{key} = {value}" for key, value in lines.items() if value is not None)
        self.write("limits.toml", f"[[limit]]\n{text}\n")
        return self.folder

    def test_factor(self) -> None:
        (limit,) = published.load_limits(self.entry(factor="2.0"))
        self.assertEqual((limit.lower, limit.upper), (-2e-32, 6e-32))
        (limit,) = published.load_limits(self.entry(factor="-0.5"))
        self.assertEqual((limit.lower, limit.upper), (-1.5e-32, 0.5e-32))
        (limit,) = published.load_limits(self.entry(factor="-1", absolute="true", lower=None))
        self.assertEqual((limit.lower, limit.upper), (-3e-32, 3e-32))

    def test_errors(self) -> None:
        cases: list[tuple[dict[str, str | None], tuple[str, ...]]] = [
            ({"colour": '"red"'}, ("unknown key 'colour'", "known are")),
            ({"parameter": '"r2"'}, ("unknown parameter", "r2_e, r2_mu")),
            ({"unit": '"fm^2"'}, ("unit must be 'cm^2', not 'fm^2'",)),
            ({"cl": "90"}, ("cl must lie between 0 and 1", "0.90")),
            ({"cl": None}, ("cl is missing",)),
            ({"reference": None}, ("reference must be a text; it is missing",)),
            ({"normalisation": None}, ("normalisation must be a text; it is missing",)),
            ({"upper": None}, ("upper is missing",)),
            ({"upper": "inf"}, ("upper must be a finite number",)),
            ({"upper": '"3e-32"'}, ("upper must be a finite number, not '3e-32'",)),
            ({"upper": "-2e-32"}, ("lower must be below upper",)),
            ({"lower": None}, ("lower is missing", "absolute = true")),
            ({"absolute": "true"}, ("absolute = true", "no lower")),
            ({"absolute": "1"}, ("absolute must be true or false, not 1",)),
            ({"factor": "0"}, ("factor must not be 0",)),
            ({"parameter": '"mu_e"', "unit": '"mu_B"'}, ("bound 0",)),
        ]
        for changes, words in cases:
            with self.subTest(changes=changes):
                folder = self.entry(**changes)
                self.fails(lambda: published.load_limits(folder), f"{folder / 'limits.toml'}: limit 1 (X", *words)

    def test_files(self) -> None:
        self.fails(lambda: published.load_limits(self.folder), "limits.toml: No such file")
        self.write("limits.toml", "[[limit]\n")
        self.fails(lambda: published.load_limits(self.folder), "limits.toml: not TOML", "line 1")
        self.write("limits.toml", "limits = 1\n")
        self.fails(lambda: published.load_limits(self.folder), "limits.toml: holds no [[limit]] tables")


class PaperTable1(Case):
    def test_printed_numbers(self) -> None:
        rows = {(row.experiment, row.parameter): row for row in published.load_paper_table1()}
        for experiment, parameter, unit, lower, upper in (
            ("xenonnt_sr0", "mu_e", "mu_B", None, 0.90e-11),
            ("xenonnt_sr0", "Lambda_2", "mu_B", None, 0.80e-11),
            ("xenonnt_sr0", "q_e", "e", -1.3e-13, 6.4e-13),
            ("xenonnt_sr0", "r2_e", "cm^2", -93.4e-32, 9.5e-32),
            ("lz_ws2022_arxiv2208", "r2_tau", "cm^2", -93.7e-32, 97e-32),
        ):
            row = rows[experiment, parameter]
            self.assertEqual((row.unit, row.lower, row.upper, row.cl), (unit, lower, upper, 0.90))
        self.assertEqual(rows["lz_ws2022_arxiv2208", "q_e"].kind, "fitted")
        self.assertIsNone(rows["lz_ws2022", "mu_e"].upper)
        self.assertEqual(rows["lz_ws2022", "mu_e"].expected_upper, 1.787e-11)

    def test_misprint(self) -> None:
        misprints = [row for row in published.load_paper_table1() if row.misprint]
        self.assertEqual([(row.experiment, row.parameter) for row in misprints], [("xenonnt_sr0", "mu_universal")])
        self.assertEqual((misprints[0].upper, misprints[0].upper_reference), (0.63e-11, 0.65e-11))
        self.assertIn("0.654e-11", misprints[0].note)
        for row in published.load_paper_table1():
            if not row.misprint:
                self.assertEqual(row.upper_reference, row.upper)


HEADER = {
    "experiment": "X", "reference": "arXiv:0000.00000", "cl": "0.90", "parameter": "g_V", "mass_unit": "MeV", "coupling": "g",
    "normalisation": "nuscan",
}  # fmt: skip


class Curves(Case):
    def curve(self, rows: str = "1, 2e-6\n10, 8e-6\n", extra: str = "", name: str = "x.csv", **changes: str | None) -> Path:
        lines = {**HEADER, **changes}
        text = "".join(f"# {key}: {value}\n" for key, value in lines.items() if value is not None)
        return self.write(name, text + extra + rows)

    def test_as_it_stands(self) -> None:
        curve = published.read_curve(self.curve(extra="# note: one\n# note: two\n# see https://example.org/a\n# https://x\n\n"))
        self.assertEqual(list(curve.mass), [1.0, 10.0])
        self.assertEqual(list(curve.coupling), [2e-6, 8e-6])
        self.assertEqual((curve.parameter, curve.label, curve.reference, curve.cl), ("g_V", "X", "arXiv:0000.00000", 0.90))
        self.assertEqual((curve.experiment, curve.note, curve.normalisation), ("X", "one two", "nuscan"))
        self.assertEqual(published.read_curve(self.curve(label="X, Fig. 3")).label, "X, Fig. 3")

    def test_dialects(self) -> None:
        path = self.curve()
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(list(published.read_curve(path).mass), [1.0, 10.0])
        # Closed and backward curves keep their order.
        self.assertEqual(list(published.read_curve(self.curve(rows="3,1\n1,2\n2,3\n3,1\n")).mass), [3.0, 1.0, 2.0, 3.0])

    def test_units(self) -> None:
        for unit, mev in (("eV", 1e-6), ("keV", 1e-3), ("MeV", 1.0), ("GeV", 1e3)):
            mass = published.read_curve(self.curve(mass_unit=unit)).mass
            np.testing.assert_allclose(mass, [mev, 10 * mev], rtol=1e-15)

    def test_normalisation(self) -> None:
        def coupling(**changes: str) -> float:
            return float(published.read_curve(self.curve(**changes)).coupling[0])

        # 2e-6 stands for g or g^2; g_nuscan^2 = 2 g_chiral^2 for vector and axial vector.
        for parameter, factor in (("g_V", 2.0), ("g_A", 2.0), ("g_S", 1.0), ("g_P", 1.0), ("g_T", 1.0)):
            self.assertAlmostEqual(coupling(parameter=parameter, normalisation="chiral") / 2e-6, math.sqrt(factor), 14)
            self.assertAlmostEqual(
                coupling(parameter=parameter, normalisation="chiral", coupling="g^2") / math.sqrt(factor * 2e-6), 1.0, 14
            )
            self.assertEqual(coupling(parameter=parameter), 2e-6)
        self.assertAlmostEqual(coupling(normalisation="factor=0.25") / 1e-6, 1.0, 14)
        self.assertAlmostEqual(coupling(normalisation="factor = 0.25", coupling="g^2") / math.sqrt(0.5e-6), 1.0, 14)

    def test_header_errors(self) -> None:
        # Lines of the header in the order above.
        line = {key: number for number, key in enumerate(HEADER, start=1)}
        for key, wrong, right in (
            ("cl", "90", "between 0 and 1, such as 0.90"),
            ("cl", "90%", "between 0 and 1, such as 0.90"),
            ("parameter", "gV", "one of g_S, g_P, g_V, g_A, g_T"),
            ("mass_unit", "Mev", "one of eV, keV, MeV, GeV"),
            ("coupling", "g2", "g or g^2"),
            ("normalisation", "Chiral", "nuscan, chiral or factor=F"),
            ("normalisation", "factor=two", "nuscan, chiral or factor=F"),
            ("normalisation", "factor=-2", "F > 0"),
            ("normalisation", "2", "nuscan, chiral or factor=F"),
        ):
            with self.subTest(key=key, wrong=wrong):
                path = self.curve(**{key: wrong})
                self.fails(lambda: published.read_curve(path), f"{path}:{line[key]}: {key} is '{wrong}'; it must be", right)
        for key in HEADER:
            with self.subTest(missing=key):
                path = self.curve(**{key: None})
                self.fails(lambda: published.read_curve(path), f"{path}: {key} is missing; add a line '# {key}: ")
                path = self.curve(**{key: ""})
                self.fails(lambda: published.read_curve(path), f"{path}:{line[key]}: {key} is empty; it must be")
        path = self.curve(extra="# massunit: MeV\n")
        self.fails(lambda: published.read_curve(path), f"{path}:8: unknown key 'massunit'", "mass_unit")
        path = self.curve(extra="# cl: 0.95\n")
        self.fails(lambda: published.read_curve(path), f"{path}:8: cl is given a second time, first in line 3")

    def test_row_errors(self) -> None:
        for rows, words in (
            ("1, 2\n1 2\n", (":9: '1 2' has 1 columns", "mass, coupling")),
            ("1, 2\n1,5, 2\n", (":9: '1,5, 2' has 3 columns", "decimal points")),
            ("mass, g\n1, 2\n", (":8: mass is 'mass', not a number", "starts with #")),
            ("1, 2\n3, x\n", (":9: coupling is 'x', not a number",)),
            ("1, 2\n3,\n", (":9: coupling is '', not a number",)),
            ("0, 2\n", (":8: mass is 0; it must be positive",)),
            ("1, -5.2\n", (":8: coupling is -5.2; it must be positive", "no logarithm")),
            ("1, nan\n", (":8: coupling is nan; it must be positive and finite",)),
            ("1, 2\n", (": 1 rows of numbers; a curve has at least 2",)),
            ("", (": 0 rows of numbers",)),
        ):
            with self.subTest(rows=rows):
                path = self.curve(rows=rows)
                self.fails(lambda: published.read_curve(path), f"{path}{words[0]}", *words[1:])
        path = self.curve()
        path.write_bytes(path.read_bytes() + b"# \xe9\n")
        self.fails(lambda: published.read_curve(path), f"{path}: not UTF-8 text")

    def test_folders(self) -> None:
        self.curve(name="own/b.csv", experiment="B", parameter="g_S")
        self.curve(name="own/a.CSV", experiment="A")
        self.write("own/README.md", "no curve\n")
        own = self.folder / "own"
        self.assertEqual([curve.experiment for curve in published.load_curves(own)], ["A", "B"])
        self.assertEqual([curve.experiment for curve in published.load_curves(own, "g_S")], ["B"])
        self.assertEqual(published.load_curves(own, "g_T"), [])
        self.fails(lambda: published.load_curves(own, "g_X"), "parameter is 'g_X'; it must be one of g_S")
        self.fails(lambda: published.load_curves(self.folder / "none"), "none: no such folder")

        # The folder of the environment comes on top of the data folder's.
        self.curve(name="data/limits/curves/c.csv", experiment="C")
        os.environ["NUSCAN_DATA_DIR"] = str(self.folder / "data")
        self.assertEqual([curve.experiment for curve in published.load_curves()], ["C"])
        os.environ["NUSCAN_LIMITS_DIR"] = str(own)
        self.assertEqual([curve.experiment for curve in published.load_curves()], ["C", "A", "B"])
        os.environ["NUSCAN_LIMITS_DIR"] = str(self.folder / "data" / "limits" / "curves")
        self.assertEqual([curve.experiment for curve in published.load_curves()], ["C"])
        for folder, what in (("none", "no such folder"), (".", "holds no file *.csv")):
            os.environ["NUSCAN_LIMITS_DIR"] = str(self.folder / folder)
            self.fails(published.load_curves, "environment variable NUSCAN_LIMITS_DIR", what)

    def test_shipped(self) -> None:
        """Whatever lies there can be read."""
        for curve in published.load_curves():
            self.assertTrue(np.all(curve.coupling > 0.0))

    def test_example_of_the_readme(self) -> None:
        """The example in the description of the format is one."""
        text = (ROOT / "data" / "limits" / "README.md").read_text(encoding="utf-8")
        block = text[text.index("    # experiment:") : text.index("(No real numbers.)")]
        curve = published.read_curve(self.write("readme.csv", "\n".join(line[4:] for line in block.splitlines())))
        np.testing.assert_allclose(curve.mass, [1e-3, 1e-2], rtol=1e-15)
        np.testing.assert_allclose(curve.coupling, [math.sqrt(8e-12), math.sqrt(2e-10)], rtol=1e-14)


class DataFolder(Case):
    def test_environment(self) -> None:
        os.environ["NUSCAN_DATA_DIR"] = str(self.folder / "none")
        self.fails(published.load_limits, "environment variable NUSCAN_DATA_DIR", "no such data folder")
        os.environ["NUSCAN_DATA_DIR"] = str(self.folder)
        self.fails(published.load_limits, f"{self.folder / 'limits' / 'limits.toml'}: No such file")

    def test_installation(self) -> None:
        """share/nuscan/python/nuscan_plots finds share/nuscan/data, and nothing but this file and numpy is needed."""
        share = self.folder / "share" / "nuscan"
        (share / "python" / "nuscan_plots").mkdir(parents=True)
        copy = Path(shutil.copy(MODULE, share / "python" / "nuscan_plots"))
        for name in ("limits", "published"):
            shutil.copytree(ROOT / "data" / name, share / "data" / name)
        code = "import published as p; print(p.data_folder(), len(p.load_limits()), len(p.load_paper_table1()) > 13)"
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=copy.parent, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(result.stdout.split(), [str((share / "data").resolve()), str(len(TABLE1)), "True"], result.stderr)

    def test_program_on_path(self) -> None:
        """A copy of the package elsewhere, as pip makes one, asks the installed program."""
        copy = self.folder / "site" / "nuscan_plots" / "published.py"
        copy.parent.mkdir(parents=True)
        shutil.copy(MODULE, copy)
        elsewhere = load(copy)
        self.addCleanup(load, MODULE)
        os.environ["PATH"] = str(self.folder / "prefix" / "bin")
        with self.assertRaisesRegex(elsewhere.PublishedError, "data folder not found.*set NUSCAN_DATA_DIR"):
            elsewhere.data_folder()
        program = self.write("prefix/bin/nuscan", "#!/bin/sh\n")
        program.chmod(0o755)
        data = self.folder / "prefix" / "share" / "nuscan" / "data"
        data.mkdir(parents=True)
        self.assertEqual(elsewhere.data_folder(), data.resolve())


# --- the factors of the normalisation, from Dirac matrices ----------------------------------------------------------------------

Matrix = NDArray[np.complex128]
PAULI = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
UNIT = np.eye(4, dtype=complex)
GAMMA = [np.kron(np.diag([1, -1]), np.eye(2)).astype(complex), *(np.kron([[0, 1], [-1, 0]], sigma) for sigma in PAULI)]
GAMMA5 = 1j * GAMMA[0] @ GAMMA[1] @ GAMMA[2] @ GAMMA[3]
LEFT = (UNIT - GAMMA5) / 2
ELECTRON_MASS = 0.51099895  # MeV
FERMI = 1.1663787e-11  # MeV^-2
ROUNDING = 1e-12

Vertices = list[tuple[Matrix, Matrix]]


def slash(momentum: NDArray[np.float64]) -> Matrix:
    return sum((METRIC[i, i] * momentum[i] * GAMMA[i] for i in range(4)), start=np.zeros((4, 4), complex))


def cross_section(terms: list[tuple[float, Vertices]], recoil: float, energy: float) -> float:
    """dsigma/dT [MeV^-3]; terms of the Lagrangian: coefficient, and pairs of a neutrino's and an electron's matrix."""
    m = ELECTRON_MASS
    momentum = math.sqrt((m + recoil) ** 2 - m**2)
    cosine = recoil * (energy + m) / (energy * momentum)
    nu, electron = np.array([energy, 0.0, 0.0, energy]), np.array([m, 0.0, 0.0, 0.0])
    electron_out = np.array([m + recoil, momentum * math.sqrt(1 - cosine**2), 0.0, momentum * cosine])
    nu_out = nu + electron - electron_out
    vertices = [(coefficient * a, b) for coefficient, pairs in terms for a, b in pairs]
    squared = 0.0
    for a, b in vertices:
        for c, d in vertices:
            c_bar, d_bar = (GAMMA[0] @ matrix.conj().T @ GAMMA[0] for matrix in (c, d))
            squared += (
                np.trace(slash(nu_out) @ a @ slash(nu) @ c_bar)
                * np.trace((slash(electron_out) + m * UNIT) @ b @ (slash(electron) + m * UNIT) @ d_bar)
            ).real
    return squared / 2 / (32 * math.pi * m * energy**2)


def standard_model(g_v: float, g_a: float) -> tuple[float, Vertices]:
    """- sqrt2 G_F (nubar gamma^mu P_L nu)(ebar gamma_mu (g_V - g_A gamma_5) e)."""
    coupling = g_v * UNIT - g_a * GAMMA5
    return -math.sqrt(2) * FERMI, [(METRIC[i, i] * GAMMA[i] @ LEFT, GAMMA[i] @ coupling) for i in range(4)]


def sigma(i: int, j: int) -> Matrix:
    return 0.5j * (GAMMA[i] @ GAMMA[j] - GAMMA[j] @ GAMMA[i])


def chiral(parameter: str, squared_coupling: float, propagator: float) -> tuple[float, Vertices]:
    """- g^2/(2 m_e T + m^2) (nubar Gamma P_L nu)(ebar Gamma e)."""
    pairs: dict[str, Vertices] = {
        "g_S": [(UNIT, UNIT)],
        "g_P": [(1j * GAMMA5, 1j * GAMMA5)],
        "g_V": [(METRIC[i, i] * GAMMA[i], GAMMA[i]) for i in range(4)],
        "g_A": [(METRIC[i, i] * GAMMA[i] @ GAMMA5, GAMMA[i] @ GAMMA5) for i in range(4)],
        "g_T": [(METRIC[i, i] * METRIC[j, j] * sigma(i, j), sigma(i, j)) for i in range(4) for j in range(4)],
    }
    return -squared_coupling / propagator, [(a @ LEFT, b) for a, b in pairs[parameter]]


class Normalisation(unittest.TestCase):
    """nuscan's formulas against the Lagrangian that data/limits/README.md calls chiral."""

    G_V, G_A = 0.97714, 0.5
    POINTS = ((0.01, 0.3, 0.05), (0.1, 0.4, 1.0))  # T, E, m [MeV]
    CHIRAL = 1e-11  # g^2 whose interference is as large as the Standard Model

    def nuscan(self, g_v: float, g_a: float, recoil: float, energy: float) -> float:
        square = (g_v + g_a) ** 2 + (g_v - g_a) ** 2 * (1 - recoil / energy) ** 2
        return (
            FERMI**2 * ELECTRON_MASS / (2 * math.pi) * (square - (g_v**2 - g_a**2) * ELECTRON_MASS * recoil / energy**2)
        )

    def test_standard_model(self) -> None:
        for recoil, energy, _ in self.POINTS:
            computed = cross_section([standard_model(self.G_V, self.G_A)], recoil, energy)
            self.assertAlmostEqual(computed / self.nuscan(self.G_V, self.G_A, recoil, energy), 1.0, delta=ROUNDING)

    def test_vector_and_axial_vector(self) -> None:
        for recoil, energy, mass in self.POINTS:
            propagator = 2 * ELECTRON_MASS * recoil + mass**2
            for parameter in ("g_V", "g_A"):
                squared = published.CHIRAL_FACTORS[parameter] * self.CHIRAL
                shift = squared / (2 * math.sqrt(2) * FERMI * propagator)
                shifts = (shift, 0.0) if parameter == "g_V" else (0.0, shift)
                expected = self.nuscan(self.G_V + shifts[0], self.G_A + shifts[1], recoil, energy)
                terms = [standard_model(self.G_V, self.G_A), chiral(parameter, self.CHIRAL, propagator)]
                self.assertAlmostEqual(cross_section(terms, recoil, energy) / expected, 1.0, delta=ROUNDING)

    def test_the_others(self) -> None:
        m = ELECTRON_MASS
        for recoil, energy, mass in self.POINTS:
            propagator = 2 * m * recoil + mass**2
            x = 1 - recoil / energy
            for parameter, formula in (
                # The formula of the scalar lacks T/(2 m_e).
                ("g_S", m**2 * recoil / (4 * math.pi * energy**2) * (1 + recoil / (2 * m))),
                ("g_P", m * recoil**2 / (8 * math.pi * energy**2)),
                ("g_T", m / math.pi * (1 + 2 * x + x**2 - m * recoil / energy**2)),
            ):
                squared = published.CHIRAL_FACTORS[parameter] * self.CHIRAL
                computed = cross_section([chiral(parameter, self.CHIRAL, propagator)], recoil, energy)
                self.assertAlmostEqual(computed / (formula * (squared / propagator) ** 2), 1.0, delta=ROUNDING)


if __name__ == "__main__":
    unittest.main()
