"""tools/nuscan_plots: surfaces with known answers are read and drawn right, and wrong files end in one line.

Usage: plots_test.py NUSCAN, with the program that writes real surfaces."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import surface_files as files  # noqa: E402

import nuscan_plots  # noqa: E402
import nuscan_plots.__main__ as command_line  # noqa: E402
from nuscan_plots import draw, overview, published, quantities, spectra, style  # noqa: E402
from nuscan_plots.paper import benchmarks, figures, places, report, statements, table1, uncertainties  # noqa: E402
from nuscan_plots.paper.program import Program  # noqa: E402
from nuscan_plots.paper.scans import EXPERIMENTS, Finished, Scan, plan, run_one  # noqa: E402

NUSCAN = Path()
RED = style.EXPERIMENTS["xenonnt_sr0"]
ONE_PARAMETER, TWO_PARAMETERS = 2.705543454095414, 4.605170185988092

INTERPOLATION = 2e-3
"""Relative, of Delta chi^2 on a contour: straight lines between nodes on an ellipse that is some 50 nodes wide."""
GRID_AND_ROOT = table1.GRID_TOLERANCE
"""Relative: what reproduce-paper allows between a limit off a grid and root finding."""


class Case(unittest.TestCase):
    """A temporary folder, and no environment variable of nuscan."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("NUSCAN_") and key != "NUSCAN"}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(plt.close, "all")

    def fails(self, call: Any, *words: str) -> None:
        """NuscanError of one line that holds all words."""
        with self.assertRaises(nuscan_plots.NuscanError) as caught:
            call()
        self.assertNotIn("\n", str(caught.exception))
        for word in words:
            self.assertIn(word, str(caught.exception))


def ellipse(path: Path, widths: tuple[float, float] = (20e-32, 40e-32), centre: tuple[float, float] = (-30e-32, 10e-32)) -> Path:
    """chi^2 = 10 + ((x - x0)/a)^2 + ((y - y0)/b)^2 over two charge radii."""
    x, y = np.linspace(-160e-32, 160e-32, 161), np.linspace(-160e-32, 160e-32, 161)
    chi2 = 10.0 + ((x[:, None] - centre[0]) / widths[0]) ** 2 + ((y[None, :] - centre[1]) / widths[1]) ** 2
    axes = [
        files.SyntheticAxis("r2_e", x, "cm^2", r"\langle r^2_{\nu_e} \rangle"),
        files.SyntheticAxis("r2_mu", y, "cm^2", r"\langle r^2_{\nu_\mu} \rangle"),
    ]
    zero = 10.0 + (centre[0] / widths[0]) ** 2 + (centre[1] / widths[1]) ** 2
    return files.write_surface(path, axes, chi2, zero)


class Reading(Case):
    def test_everything_is_there(self) -> None:
        surface = nuscan_plots.load(ellipse(self.folder / "e.h5"))
        self.assertEqual(list(surface.axes), ["r2_e", "r2_mu"])
        axis = surface.axes["r2_e"]
        self.assertEqual((axis.unit, axis.scale, axis.values.size), ("cm^2", "linear", 161))
        self.assertEqual(surface.experiments, ("xenonnt_sr0",))
        self.assertAlmostEqual(surface.best_fit["r2_e"], -30e-32, delta=1e-40)
        self.assertAlmostEqual(float(surface.delta_chi2.min()), 0.0)
        self.assertEqual(surface.delta_chi2.shape, (161, 161))
        self.assertTrue((surface.status == 0).all())
        self.assertEqual(surface.meta["version"], "0.1.0")

    def test_the_point_zero_counts(self) -> None:
        axes = [files.SyntheticAxis("g_V", np.geomspace(1e-8, 1e-2, 50), "1", "g_V", "log")]
        surface = nuscan_plots.load(files.write_surface(self.folder / "g.h5", axes, np.linspace(10.0, 20.0, 50), 9.0))
        self.assertAlmostEqual(float(surface.delta_chi2[0]), 1.0)

    def test_failed_points_are_nan(self) -> None:
        path = ellipse(self.folder / "e.h5")
        with h5py.File(path, "a") as file:
            file["grid/status"][3, 4] = 2
        surface = nuscan_plots.load(path)
        self.assertEqual(np.argwhere(np.isnan(surface.chi2)).tolist(), [[3, 4]])

    def test_profiles_and_limits(self) -> None:
        path = ellipse(self.folder / "e.h5")
        files.write_intervals(path, "r2_e", "cm^2", [[-60e-32, -40e-32], [-20e-32, 160e-32]], [[0, 0], [0, 1]])
        with h5py.File(path, "a") as file:
            group = file.create_group("profiles/r2_e")
            group.attrs.update({"axes": ["r2_e"], "profiled_axes": ["r2_mu"], "chi2_min": 10.0, "chi2_zero": 12.3125})
            group["chi2"] = file["grid/chi2"][...].min(axis=1)
        surface = nuscan_plots.load(path)
        profile = surface.profiles["r2_e"]
        self.assertEqual((list(profile.axes), profile.profiled_axes), (["r2_e"], ("r2_mu",)))
        self.assertAlmostEqual(float(profile.delta_chi2.min()), 0.0)
        limit = table1.limit_of_grid(surface.limits[0.9]["r2_e"])
        self.assertEqual((limit.lower, limit.upper, limit.pieces), (-60e-32, None, 2))

    def test_wrong_files(self) -> None:
        good = ellipse(self.folder / "good.h5")

        def broken(name: str, change: Any) -> Path:
            path = self.folder / name
            path.write_bytes(good.read_bytes())
            with h5py.File(path, "a") as file:
                change(file)
            return path

        def nothing_but_nan(file: h5py.File) -> None:
            file["grid/chi2"][...] = np.nan

        def remove(name: str) -> Any:
            return lambda file: file.__delitem__(name)

        text = self.folder / "text.h5"
        text.write_text("m_V g_V chi2\n")
        cut = self.folder / "cut.h5"
        cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
        foreign = self.folder / "foreign.h5"
        h5py.File(foreign, "w").close()
        pipe = self.folder / "pipe.h5"
        os.mkfifo(pipe)
        wrong = {
            pipe: ("not a regular file",),
            Path("/dev/zero"): ("not a regular file",),
            self.folder / "none.h5": ("no such file", "nuscan scan"),
            self.folder: ("is a folder", "*.h5"),
            text: ("not an HDF5 file",),
            cut: ("truncated", "run the scan again"),
            foreign: ("no schema version",),
            broken("schema.h5", lambda file: file.attrs.__setitem__("schema_major", 2)): ("schema 2.2", "reads 1.x"),
            broken("chi2.h5", remove("grid/chi2")): ("no grid/chi2", "run the scan again"),
            broken("axis.h5", remove("axes/r2_mu")): ("no axes/r2_mu",),
            broken("meta.h5", remove("meta")): ("no meta",),
            broken("units.h5", lambda file: file["axes/r2_e"].attrs.__delitem__("units")): ("units", "nuscan validate"),
            broken("nan.h5", nothing_but_nan): ("NaN at every point", "nuscan info"),
        }
        for path, words in wrong.items():
            with self.subTest(path.name):
                self.fails(lambda path=path: nuscan_plots.load(path), str(path), *words)
                code, error = self.plot(str(path), "-o", str(self.folder / "picture.png"))
                self.assertEqual((code, len(error.splitlines())), (1, 1), error)
                self.assertIn(str(path), error)
        self.assertFalse((self.folder / "picture.png").exists())

    def plot(self, *arguments: str) -> tuple[int, str]:
        """The command line, in this process as it is quicker: exit code and standard error."""
        error = io.StringIO()
        with mock.patch.object(sys, "argv", ["plot", *arguments]), contextlib.redirect_stderr(error):
            return command_line.main(), error.getvalue()


class Drawing(Case):
    def test_contour_is_the_ellipse(self) -> None:
        surface = nuscan_plots.load(ellipse(self.folder / "e.h5"))
        _, axes = plt.subplots()
        draw.plane_frame(axes, surface)
        draw.plane(axes, surface, RED)
        (line,) = axes.get_lines()
        x, y = np.asarray(line.get_xydata()).T
        delta = ((x + 30e-32) / 20e-32) ** 2 + ((y - 10e-32) / 40e-32) ** 2
        np.testing.assert_allclose(delta, TWO_PARAMETERS, rtol=INTERPOLATION)
        # All the way round, and closed.
        self.assertLess(np.diff(np.sort(np.arctan2((y - 10e-32) / 40e-32, (x + 30e-32) / 20e-32))).max(), 0.1)
        self.assertEqual((x[0], y[0]), (x[-1], y[-1]))
        self.assertIn("10^{-32}", axes.get_xlabel())

    def test_contour_follows_logarithms(self) -> None:
        # chi^2 = 10 + (ln m - ln m0)^2 + (ln g - ln g0)^2: a circle in the logarithms.
        m, g = np.geomspace(1e-4, 1e2, 101), np.geomspace(1e-8, 1e-2, 101)
        chi2 = 10.0 + np.log(m[:, None] / 0.1) ** 2 + np.log(g[None, :] / 1e-5) ** 2
        axes = [files.SyntheticAxis("m_V", m, "MeV", "m_V", "log"), files.SyntheticAxis("g_V", g, "1", "g_V", "log")]
        surface = nuscan_plots.load(files.write_surface(self.folder / "l.h5", axes, chi2, 1e9))
        _, panel = plt.subplots()
        (line,) = draw.plane(panel, surface, RED)
        np.testing.assert_allclose(np.log(line[:, 0] / 0.1) ** 2 + np.log(line[:, 1] / 1e-5) ** 2, TWO_PARAMETERS, rtol=5e-3)

    def test_shading_ends_at_the_lines(self) -> None:
        # Coarse on purpose: interpolated in other coordinates, the shading would end elsewhere between the nodes.
        m, g = np.geomspace(1e-4, 1e2, 13), np.geomspace(1e-8, 1e-2, 13)
        chi2 = 10.0 + np.log(m[:, None] / 0.05) ** 2 + np.log(g[None, :] / 1e-5) ** 2
        axes = [files.SyntheticAxis("m_V", m, "MeV", "m_V", "log"), files.SyntheticAxis("g_V", g, "1", "g_V", "log")]
        surface = nuscan_plots.load(files.write_surface(self.folder / "l.h5", axes, chi2, 1e9))
        for shade in ("allowed", "excluded"):
            _, panel = plt.subplots()
            (line,) = draw.plane(panel, surface, RED, shade=shade)
            (area,) = panel.patches
            corners = {tuple(point) for point in np.round(np.log(area.get_path().vertices), 9)}
            self.assertLessEqual({tuple(point) for point in np.round(np.log(line), 9)}, corners, shade)
            # What is excluded has the frame around it.
            frame = {tuple(np.round(np.log([x, y]), 9)) for x in (m[0], m[-1]) for y in (g[0], g[-1])}
            self.assertEqual(frame <= corners, shade == "excluded")

    def test_shading_of_a_plane_without_a_contour(self) -> None:
        surface = nuscan_plots.load(ellipse(self.folder / "e.h5", widths=(1e-28, 1e-28)))
        for shade, patches in (("allowed", 1), ("excluded", 0)):
            _, panel = plt.subplots()
            self.assertEqual(draw.plane(panel, surface, RED, shade=shade), [])
            filled = [patch for patch in panel.patches if patch.get_path().vertices.size]
            self.assertEqual(len(filled), patches, shade)

    def test_a_plane_that_the_point_zero_excludes(self) -> None:
        path = ellipse(self.folder / "e.h5")
        with h5py.File(path, "a") as file:
            file["grid/chi2"].attrs["chi2_zero"] = 1.0
        for shade, patches in (("allowed", 0), ("excluded", 1)):
            _, panel = plt.subplots()
            self.assertEqual(draw.plane(panel, nuscan_plots.load(path), RED, shade=shade), [])
            self.assertEqual(len(panel.patches), patches, shade)

    def test_a_single_mass(self) -> None:
        # A frame around it, a point in place of a line, and no warning of matplotlib.
        g = np.geomspace(1e-8, 1e-2, 41)
        for scale in ("linear", "log"):
            axes = [files.SyntheticAxis("m_V", np.array([0.05]), "MeV", "m_V", scale), files.SyntheticAxis("g_V", g, "1", "g_V", "log")]
            path = files.write_surface(self.folder / f"{scale}.h5", axes, 10.0 + (g[None, :] / 1e-6) ** 2, 10.0)
            files.write_curve(path, "V", np.array([0.05]), np.array([1.6e-6]))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                overview.draw_files([path], self.folder / "one.png", limits=True)
                _, panel = plt.subplots()
                surface = nuscan_plots.load(path)
                draw.plane_frame(panel, surface)
                line = draw.exclusion(panel, draw.mass_curve(surface), RED)
            low, high = panel.get_xlim()
            self.assertTrue(0.0 <= low < 0.05 < high, (low, high))
            self.assertEqual(line.get_marker(), "o")
            self.fails(lambda path=path: overview.draw_files([path], self.folder / "two.png"), "m_V", "--limits")

    def test_a_legend_hides_no_line(self) -> None:
        handles = [draw.line_handle(RED), draw.line_handle(draw.THRESHOLD)]

        def boxes_and_lines(axes: Any) -> bool:
            legend = draw.legend_inside(axes, handles)
            axes.get_figure().canvas.draw()
            box = legend.get_window_extent()
            return any(draw.crosses(line, box) for line in axes.get_lines())

        # Long straight lines have no point in the corners that they cross; the last one is a threshold with coordinates of its own.
        for lines in (([0, 1], [0, 1]), ([0, 1], [1, 0]), ([0, 0.9, 1], [0.9, 0.9, 0])):
            _, axes = plt.subplots(figsize=(4, 3), layout="constrained")
            axes.set(xlim=(0, 1), ylim=(0, 1))
            axes.plot(*lines)
            axes.axhline(0.1)
            self.assertFalse(boxes_and_lines(axes), lines)
        # Where every corner has a line the legend goes above.
        _, axes = plt.subplots(figsize=(4, 3), layout="constrained")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        for height in np.linspace(0.0, 1.0, 21):
            axes.plot([0, 0.5, 1], [height, np.nan, height])
            axes.plot([0, 1], [height, height])
        self.assertFalse(boxes_and_lines(axes))
        self.assertGreaterEqual(axes.get_legend().get_window_extent().y0, axes.bbox.y1 - 1.0)

    def test_levels_given_twice(self) -> None:
        path = ellipse(self.folder / "e.h5")
        error = io.StringIO()
        arguments = ["plot", str(path), "-o", str(self.folder / "x.png"), "--cl", "0.9", "--cl", "0.90"]
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stderr(error), self.assertRaises(SystemExit) as ended:
            command_line.main()
        self.assertEqual(ended.exception.code, 2)
        self.assertIn("--cl: 0.9 is given twice", error.getvalue())

    def test_stored_contour_is_drawn_as_it_is(self) -> None:
        path = ellipse(self.folder / "e.h5")
        points = np.array([[0.0, 0.0], [1e-32, 2e-32], [3e-32, 1e-32]])
        with h5py.File(path, "a") as file:
            group = file.create_group("contours/0.9")
            group.attrs.update({"axes": ["r2_e", "r2_mu"], "cl": 0.9, "dof": 2, "threshold": 4.6, "level": 14.6})
            group["0"] = points
            group["0"].attrs["closed"] = False
        _, axes = plt.subplots()
        (line,) = draw.plane(axes, nuscan_plots.load(path), RED)
        np.testing.assert_array_equal(line, points)

    def test_profile_has_its_width(self) -> None:
        # (q - q0)^2 / sigma^2: 90% C.L. is at q0 +- 1.6449 sigma.
        q = np.linspace(-12e-13, 12e-13, 2401)
        axes = [files.SyntheticAxis("q_e", q, "e", r"q_{\nu_e}")]
        chi2 = 10.0 + ((q - 2e-13) / 3e-13) ** 2
        surface = nuscan_plots.load(files.write_surface(self.folder / "q.h5", axes, chi2, 10.0 + 4.0 / 9.0))
        _, panel = plt.subplots()
        line = draw.profile(panel, surface, RED)
        draw.profile_frame(panel, surface.axes["q_e"])
        x, y = np.asarray(line.get_xydata()).T
        right, left = x >= 2e-13, x <= 2e-13
        upper = np.interp(ONE_PARAMETER, y[right], x[right])
        lower = np.interp(ONE_PARAMETER, y[left][::-1], x[left][::-1])
        self.assertAlmostEqual(upper / (2e-13 + 1.6448536 * 3e-13), 1.0, places=5)
        self.assertAlmostEqual(lower / (2e-13 - 1.6448536 * 3e-13), 1.0, places=5)
        threshold = panel.get_lines()[1].get_ydata()
        self.assertAlmostEqual(threshold[0], ONE_PARAMETER, places=9)
        panel.figure.canvas.draw()
        self.assertIn("$10$", [label.get_text() for label in panel.get_xticklabels()])

    def test_limit_against_mass(self) -> None:
        path = files.write_mediator(self.folder / "v.h5", "V", "xenonnt_sr0", 2e-7)
        surface = nuscan_plots.load(path)
        _, axes = plt.subplots()
        draw.plane_frame(axes, surface)
        line = draw.exclusion(axes, draw.mass_curve(surface), RED)
        mass, coupling = np.asarray(line.get_xydata()).T
        np.testing.assert_allclose(coupling, 2e-7 * np.maximum(1.0, mass / 0.1), rtol=1e-12)
        # Shaded from the curve to the top of the plot.
        ((area,),) = ([collection for collection in axes.collections],)
        vertices = area.get_paths()[0].vertices
        self.assertAlmostEqual(vertices[:, 1].max(), 1e-2)
        self.assertAlmostEqual(vertices[:, 1].min() / 2e-7, 1.0)
        self.fails(lambda: draw.mass_curve(nuscan_plots.load(ellipse(self.folder / "e.h5"))), "e.h5", "nuscan limits")

    def test_a_mediator_is_drawn_with_its_mass_along_x(self) -> None:
        surface = nuscan_plots.load(files.write_mediator(self.folder / "v.h5", "V", "xenonnt_sr0", 2e-7))
        exchanged = surface.transposed()
        self.assertEqual(list(exchanged.axes), ["g_V", "m_V"])
        np.testing.assert_array_equal(exchanged.chi2, surface.chi2.T)
        back = overview.mass_first(exchanged)
        self.assertEqual(list(back.axes), ["m_V", "g_V"])
        np.testing.assert_array_equal(back.chi2, surface.chi2)
        for line, other in zip(surface.contour(0.90).lines, exchanged.contour(0.90).lines, strict=True):
            x, y = np.log(np.asarray(line)).T
            distance = np.hypot(np.log(other[:, 1])[:, None] - x, np.log(other[:, 0])[:, None] - y).min(axis=1)
            self.assertLess(distance.max(), 0.2)  # of the steps of the grid

    def test_error_bars_are_poisson_intervals(self) -> None:
        # Garwood 1936; the numbers are those of tables of Poisson confidence limits.
        for n, low, high in ((0, 0.0, 1.841), (1, 0.173, 3.300), (3, 1.367, 5.918), (10, 6.891, 14.267)):
            found = spectra.garwood(n)
            self.assertAlmostEqual(found[0], low, places=3)
            self.assertAlmostEqual(found[1], high, places=3)

    def test_files_are_the_same_every_time(self) -> None:
        written = []
        for name in ("one", "two"):
            figure, axes = plt.subplots()
            axes.plot([0, 1], [0, 1])
            written.append([path.read_bytes() for path in draw.save(figure, self.folder / name)])
        self.assertEqual(written[0], written[1])
        self.assertNotIn(b"/CreationDate", written[0][1])
        self.fails(lambda: draw.save(figure, self.folder / "nowhere" / "x"), "nowhere")


class UsersCurves(Case):
    def test_a_curve_dropped_in_appears(self) -> None:
        for experiment in EXPERIMENTS:
            for word, kind in (("vector", "V"), ("scalar", "S")):
                files.write_mediator(self.folder / "scans" / experiment / f"fig6_{word}.h5", kind, experiment, 2e-7)
        own = self.folder / "curves"
        own.mkdir()
        (own / "mine.csv").write_text(
            "# experiment: My detector\n# reference: arXiv:0000.00000\n# cl: 0.90\n# parameter: g_V\n# mass_unit: keV\n"
            "# coupling: g^2\n# normalisation: chiral\n1, 4e-12\n1000, 9e-12\n"
        )
        os.environ["NUSCAN_LIMITS_DIR"] = str(own)
        curves = [curve for curve in published.load_curves() if curve.experiment == "My detector"]
        figure = figures.figure7(figures.Run(self.folder / "scans", [], curves))
        vector, scalar = figure.axes
        (line,) = (line for line in vector.get_lines() if line.get_label() == "My detector")
        np.testing.assert_allclose(line.get_xdata(), [1e-3, 1.0])
        np.testing.assert_allclose(line.get_ydata(), np.sqrt([8e-12, 18e-12]))
        self.assertIn("My detector", [text.get_text() for text in vector.get_legend().get_texts()])
        self.assertIsNone(scalar.get_legend())


def limit(parameter: str, lower: float | None, upper: float | None) -> table1.Limit:
    return table1.Limit(parameter, published.UNITS[parameter], 0.0, lower, upper)


def as_printed() -> dict[str, dict[str, table1.Limit]]:
    """Limits exactly as the paper prints them (own efficiency: as expected), misprint corrected."""
    found: dict[str, dict[str, table1.Limit]] = {experiment: {} for experiment in EXPERIMENTS}
    for row in published.load_paper_table1():
        upper = row.upper_reference if row.upper is not None else row.expected_upper
        found[row.experiment][row.parameter] = limit(row.parameter, row.lower if row.upper is not None else row.expected_lower, upper)
    for name, (lower, upper) in {"a_e": (-1.5e-32, 15e-32), "a_mu": (-9e-32, 8e-32), "a_tau": (-8e-32, 7e-32)}.items():
        for experiment in EXPERIMENTS:
            found[experiment].setdefault(name, limit(name, lower, upper))
    return found


class Table1(Case):
    def rows(self, **changed: table1.Limit) -> dict[tuple[str, str], table1.Row]:
        limits = as_printed()
        limits["xenonnt_sr0"].update(changed)
        rows = table1.compare(published.load_paper_table1(), limits, {("xenonnt_sr0", "mu_e"): limit("mu_e", None, 0.891e-11)})
        return {(row.paper.experiment, row.paper.parameter): row for row in rows}

    def test_a_row_for_every_printed_limit(self) -> None:
        rows = self.rows()
        self.assertEqual(len(rows), 26)
        self.assertEqual({row.verdict for row in rows.values()}, {"ok"})
        self.assertEqual({row.paper.kind for row in rows.values()}, {"reproduced", "fitted"})

    def test_verdicts(self) -> None:
        for lower, upper, verdict in (
            (-1.3e-13, 6.4e-13, "ok"),
            (-1.3e-13 * 1.029, 6.4e-13 * 0.971, "ok"),
            (-1.3e-13 * 1.031, 6.4e-13, "off"),
            (-1.3e-13, 6.4e-13 * 0.969, "off"),
            (None, 6.4e-13, "off"),
            (-1.3e-13, None, "off"),
            (-1.3e-13, float("nan"), "off"),
        ):
            row = self.rows(q_e=limit("q_e", lower, upper))["xenonnt_sr0", "q_e"]
            self.assertEqual(row.verdict, verdict, (lower, upper))

    def test_misprint(self) -> None:
        row = self.rows(mu_universal=limit("mu_universal", None, 0.65e-11))["xenonnt_sr0", "mu_universal"]
        self.assertEqual((row.verdict, row.ratio_upper), ("ok", 1.0))
        for word in ("misprint", "0.63", "0.65"):
            self.assertIn(word, row.note)
        # As printed it would pass, too; 3% above the misprint it would not, if that were the reference.
        self.assertEqual(self.rows(mu_universal=limit("mu_universal", None, 0.668e-11))["xenonnt_sr0", "mu_universal"].verdict, "ok")

    def test_csv(self) -> None:
        path = self.folder / "table1.csv"
        table1.write_csv(path, list(self.rows(q_e=limit("q_e", -1.3e-13, 8e-13)).values()))
        lines = path.read_text().splitlines()
        self.assertEqual(len(lines), 27)
        self.assertTrue(lines[0].startswith("experiment,parameter,paper_lower,paper_upper,nuscan_lower,nuscan_upper,ratio_lower,"))
        (line,) = (line for line in lines if line.startswith("xenonnt_sr0,q_e,"))
        self.assertEqual(line.split(",")[2:10], ["-1.3e-13", "6.4e-13", "-1.3e-13", "8e-13", "1.0000", "1.2500", "off", "reproduced"])

    def test_agreement_with_the_grid(self) -> None:
        self.assertAlmostEqual(self.rows()["xenonnt_sr0", "mu_e"].grid_agreement, 0.01)
        self.assertIsNone(self.rows()["xenonnt_sr0", "mu_mu"].grid_agreement)
        self.assertEqual(table1.difference(limit("q_e", None, 1e-13), limit("q_e", -1e-13, 1e-13)), float("inf"))


class Pieces(Case):
    """XENONnT's r2_e: one interval by a hair, with NuFIT 5.2 two."""

    WHOLE = table1.Limit("r2_e", "cm^2", -6.4e-32, -9.31e-31, 9.258e-32, (), True)
    SPLIT = table1.Limit("r2_e", "cm^2", -6.3e-32, -9.295e-31, 9.112e-32, ((-4.856e-31, -3.719e-31),), False)

    def test_of_an_answer_and_of_a_file(self) -> None:
        entry = {"parameter": "r2_e", "unit": "cm^2", "best_fit": -6.3e-32, "marginal": False}
        entry["intervals"] = [[-9.295e-31, -4.856e-31], [-3.719e-31, 9.112e-32]]
        self.assertEqual(table1.limits_of({"limits": [entry]})["r2_e"], self.SPLIT)
        self.assertEqual(self.SPLIT.intervals, [(-9.295e-31, -4.856e-31), (-3.719e-31, 9.112e-32)])
        self.assertAlmostEqual(self.SPLIT.width / (4.439e-31 + 4.6302e-31), 1.0)
        path = ellipse(self.folder / "e.h5")
        files.write_intervals(path, "r2_e", "cm^2", entry["intervals"], [[0, 0], [0, 0]])
        self.assertEqual(table1.limit_of_grid(nuscan_plots.load(path).limits[0.9]["r2_e"]).gaps, self.SPLIT.gaps)
        self.assertEqual(statements.interval(self.SPLIT, 1e-32), "[&minus;92.95, &minus;48.56] or [&minus;37.19, 9.11]")

    def test_a_grid_that_misses_a_gap_disagrees(self) -> None:
        one_piece = table1.Limit("r2_e", "cm^2", 0.0, self.SPLIT.lower, self.SPLIT.upper)
        self.assertEqual(table1.difference(one_piece, self.SPLIT), float("inf"))
        moved = table1.Limit("r2_e", "cm^2", 0.0, self.SPLIT.lower, self.SPLIT.upper, ((-4.856e-31, -3.5e-31),))
        self.assertAlmostEqual(table1.difference(moved, self.SPLIT), 1.0 - 3.5 / 3.719)
        # Where chi^2 only touches the threshold either number of pieces is right.
        marginal = table1.Limit("r2_e", "cm^2", 0.0, -9.31e-31, 9.258e-32, ((-4.4e-31, -4.3e-31),), True)
        self.assertEqual(table1.difference(marginal, self.WHOLE), 0.0)

    def test_a_split_is_seen(self) -> None:
        before, after = {"r2_e": self.WHOLE}, {"r2_e": self.SPLIT}
        self.assertAlmostEqual(uncertainties.largest_shifts(before, after)["r2_e"].change, 9.112 / 9.258 - 1.0)
        for first, second, what in (
            (self.WHOLE, self.SPLIT, "splits"),
            (self.SPLIT, self.WHOLE, "merges"),
            (self.WHOLE, replace(self.WHOLE, marginal=False), "no longer marginal"),
            (replace(self.WHOLE, marginal=False), self.WHOLE, "becomes marginal"),
        ):
            (reshaped,) = uncertainties.all_reshaped({"r2_e": first}, {"r2_e": second})
            self.assertEqual(reshaped.what, what)
        self.assertEqual(uncertainties.all_reshaped(before, before), ())

    def test_ends_of_pieces_count(self) -> None:
        moved = replace(self.SPLIT, gaps=((-4.856e-31, -3.2e-31),))
        shift = uncertainties.largest_shifts({"r2_e": self.SPLIT}, {"r2_e": moved})["r2_e"]
        self.assertAlmostEqual(shift.change, 3.2 / 3.719 - 1.0)
        self.assertEqual(shift.end, "lower end of piece 2")


def numbers(limits: dict[str, dict[str, table1.Limit]]) -> statements.Numbers:
    """Numbers for the statements; curves as in write_mediator, tensor strongest and pseudoscalar weakest."""
    mass = np.geomspace(1e-4, 1e2, 61)
    curves = {}
    for kind, light in {"S": 5e-7, "P": 2e-6, "V": 2e-7, "A": 3e-7, "T": 1e-7}.items():
        for experiment, factor in zip(EXPERIMENTS, (1.0, 1.2, 1.3), strict=True):
            upper = factor * light * np.maximum(1.0, mass / 0.1)
            curves[kind, experiment] = nuscan_plots.MassCurve(
                f"g_{kind}", f"m_{kind}", "1", "MeV", 0.9, 1, ONE_PARAMETER, "per_mass", mass, upper, np.zeros((61, 1, 2)), 10.0 + 0.0 * mass
            )
    combined = {experiment: limits["xenonnt_sr0"] for experiment in EXPERIMENTS[1:]}
    events = {"xenonnt_sr0": 79.9, "lz_ws2022_arxiv2208": 31.7, "lz_ws2022": 32.8}
    collaborations = {"xenonnt_sr0": 78.6, "lz_ws2022": 27.1, "lz_ws2022_error": 1.6}
    return statements.Numbers(limits, combined, events, {**events}, collaborations, published.load_limits(), curves)


class Statements(Case):
    def verdict(self, function: Any, limits: dict[str, dict[str, table1.Limit]]) -> str:
        return function(numbers(limits)).verdict

    def test_verdict_follows_the_numbers(self) -> None:
        limits = as_printed()
        self.assertEqual(self.verdict(statements.moments_against_borexino, limits), "partly")  # LZ: 5/2.28
        limits["lz_ws2022_arxiv2208"]["mu_mu"] = limit("mu_mu", None, 1.9e-11)
        self.assertEqual(self.verdict(statements.moments_against_borexino, limits), "confirmed")
        for experiment in EXPERIMENTS:
            for flavour in ("e", "mu", "tau"):
                limits[experiment][f"mu_{flavour}"] = limit(f"mu_{flavour}", None, 9e-11)
        self.assertEqual(self.verdict(statements.moments_against_borexino, limits), "contradicted")

    def test_nothing_to_compare_with(self) -> None:
        self.assertEqual(statements.mediators_against_borexino(numbers(as_printed())).verdict, "not tested")

    def test_borexino_curve(self) -> None:
        given = numbers(as_printed())
        mass = np.geomspace(1e-3, 1.0, 9)
        coupling = 3.2 * 2e-7 * np.maximum(1.0, mass / 0.1)
        given.published_curves = [published.LimitCurve("g_V", mass, coupling, "Borexino", "Borexino", "none", 0.9)]
        found = statements.mediators_against_borexino(given)
        self.assertEqual(found.verdict, "confirmed")
        self.assertIn("3.2", found.checks[0].text)

    def test_another_confidence_level_is_said(self) -> None:
        given = numbers(as_printed())
        mass = np.geomspace(1e-3, 1.0, 9)
        given.published_curves = [published.LimitCurve("g_V", mass, 0.0 * mass + 1e-6, "Borexino", "Borexino", "none", 0.95)]
        self.assertIn("theirs is at 95% C.L., which makes the factor larger", statements.mediators_against_borexino(given).checks[0].text)
        self.assertNotIn("C.L.", "".join(check.text for check in statements.moments_against_borexino(given).checks))

    def test_all_are_computed(self) -> None:
        found = statements.check_all(numbers(as_printed()))
        self.assertEqual(len(found), len(statements.ALL))
        verdicts = {statement.verdict for statement in found}
        self.assertLessEqual(verdicts, {"confirmed", "partly", "contradicted", "not tested"})


META = {
    "version": "0.1.0", "commit": "abc", "compiler": "GNU", "device": "cpu", "host": "here", "start_utc": "2026-01-02T03:04:05Z",
    "self_check": {"points": 4, "worst": 1e-12},
}  # fmt: skip


class Report(Case):
    def page(
        self,
        limits: dict[str, dict[str, table1.Limit]],
        finished: list[Finished] | None = None,
        metas: dict[str, dict[str, Any]] | None = None,
        changed: dict[str, dict[str, table1.Limit]] | None = None,
    ) -> str:
        """The report where one variation of inputs gives the limits `changed`."""
        given = numbers(limits)
        grids = {(experiment, name): found for experiment in EXPERIMENTS for name, found in limits[experiment].items()}
        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([0, 1], [0, 1])
        pictures = {name: draw.save(figure, self.folder / name) for name in figures.FIGURES}
        effects = []
        for variation in uncertainties.VARIATIONS:
            for experiment in variation.experiments:
                before, after = limits[experiment], limits[experiment]
                if changed is not None and "NuFIT" in variation.text:
                    after = changed[experiment]
                shifts, reshaped = uncertainties.largest_shifts(before, after), uncertainties.all_reshaped(before, after)
                effects.append(uncertainties.Effect(variation, experiment, shifts, reshaped))
        scan = Scan(Path("fig2_mu_e.toml"), "xenonnt_sr0", Path("x.h5"), ("mu_e",), 2001)
        finished = finished or [Finished(scan, 0.5)]
        metas = metas or {"fig2_mu_e xenonnt_sr0": META}
        return report.page(
            report.Report(
                table1.compare(published.load_paper_table1(), limits, grids), given, grids, statements.check_all(given), effects, pictures,
                finished, {"scans": 1.0, "all": 2.0}, "nuscan 0.1.0 (commit def)", metas, {"solar/gs98.toml": {"00ff"}}, False, 0.5,
            )
        )  # fmt: skip

    def test_needs_nothing_from_outside(self) -> None:
        page = self.page(as_printed())
        for reference in re.findall(r'(?:src|href|srcset|data|action)\s*=\s*"([^"]{0,40})', page):
            self.assertTrue(reference.startswith("data:image/png;base64,"), reference)
        for forbidden in ("http:", "https:", "url(", "@import", "<link", "<script", "<iframe"):
            self.assertNotIn(forbidden, page)
        self.assertEqual(page.count("<figure"), 8)

    def test_says_what_came_out(self) -> None:
        page = self.page(as_printed())
        for words in ("all 26 printed limits are met", "no curve of another experiment".capitalize(), "solar/gs98.toml", "Borexino Phase-II", "0.63*"):
            self.assertIn(words, page)
        limits = as_printed()
        limits["xenonnt_sr0"]["mu_tau"] = limit("mu_tau", None, 2e-11)
        self.assertIn("1 of 26 printed limits are off by more than 3%: mu_tau (xenonnt_sr0)", self.page(limits))


    def test_inputs_that_split_an_interval(self) -> None:
        limits, changed = as_printed(), as_printed()
        limits["xenonnt_sr0"]["r2_e"], changed["xenonnt_sr0"]["r2_e"] = Pieces.WHOLE, Pieces.SPLIT
        changed["xenonnt_sr0"]["q_tau"] = limit("q_tau", -6.2e-13, 6.0e-13)
        changed["xenonnt_sr0"]["q_mu"] = limit("q_mu", -5.6e-13, 5.4e-13)
        page = self.page(limits, changed=changed)
        self.assertIn("&lang;r<sup>2</sup><sub>&nu;e</sub>&rang; splits</span>", page)
        self.assertIn(
            "splits: [&minus;93.10, 9.26] (marginal) becomes [&minus;92.95, &minus;48.56] or [&minus;37.19, 9.11] 10<sup>&minus;32</sup>", page
        )
        # The largest of a family is in the table, below it all that move far.
        self.assertIn("q<sub>&nu;&mu;</sub> &minus;11.48%, q<sub>&nu;&tau;</sub> +15.38%", page)
        self.assertNotIn(" splits", self.page(limits))

    def test_provenance_of_scans_used_again(self) -> None:
        scans = [Scan(Path(f"{name}.toml"), "xenonnt_sr0", Path("x.h5"), ("mu_e",), 2001) for name in ("one", "two", "three")]
        finished = [Finished(scans[0], 0.25), Finished(scans[1], 7.5, True), Finished(scans[2], 1.5, True)]
        metas = {
            "one xenonnt_sr0": {**META, "commit": "new", "start_utc": "2026-03-01T00:00:00Z"},
            "two xenonnt_sr0": {**META, "commit": "old", "self_check": {"points": 9, "worst": 3e-9}},
            "three xenonnt_sr0": {**META, "commit": "old", "start_utc": "2026-01-05T00:00:00Z", "dirty": True},
        }
        page = self.page(as_printed(), finished, metas)
        for words in (
            "nuscan 0.1.0 (commit def)", "<code>new</code>", "<code>old</code>, modified", "2026-03-01T00:00:00Z", "2026-01-05T00:00:00Z",
            "used again from an earlier run</td><td>2<", "17 points recomputed independently, worst 3.0e-09 (two xenonnt_sr0)",
            "<td>7.5</td><td>used again: as its file says</td>", "come from different programs",
        ):  # fmt: skip
            self.assertIn(words, page)
        self.assertNotIn("come from different programs", self.page(as_printed()))


class ReproducePaper(Case):
    def run_script(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "tools" / "reproduce-paper"), *arguments]
        environment = {**os.environ, "NUSCAN_PYTHON": sys.executable, **environment}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    def test_without_a_program(self) -> None:
        output = self.folder / "out"
        result = self.run_script("--quick", "-o", str(output), NUSCAN=str(self.folder / "nuscan"))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in (str(self.folder / "nuscan"), "cmake --preset release", "NUSCAN="):
            self.assertIn(word, result.stderr)
        self.assertFalse(output.exists())

    def test_a_program_that_is_not_nuscan(self) -> None:
        output = self.folder / "out"
        for name in ("/bin/true", "/bin/cat"):
            result = self.run_script("-o", str(output), NUSCAN=name)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn("is not nuscan", result.stderr)
            self.assertIn("NUSCAN", result.stderr)
            self.assertFalse(output.exists())

    def test_help(self) -> None:
        result = self.run_script("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("--quick", "report", "NUSCAN", "DIR"):
            self.assertIn(word, result.stdout)

    def test_a_file_in_the_way(self) -> None:
        (self.folder / "out").write_text("")
        result = self.run_script("-o", str(self.folder / "out"), NUSCAN=str(NUSCAN))
        self.assertEqual(result.returncode, 1)
        self.assertIn("give a folder", result.stderr)


class RealSurfaces(Case):
    """Files of the program itself: both sides mean the same layout."""

    def nuscan(self, *arguments: str) -> str:
        environment = {**os.environ, "NUSCAN_PYTHON": sys.executable}
        done = subprocess.run([NUSCAN, *arguments], capture_output=True, text=True, env=environment, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def scan(self, grid: str, *arguments: str) -> Path:
        output = self.folder / f"{grid}.h5"
        self.nuscan("scan", str(places.GRIDS / f"{grid}.toml"), "-o", str(output), *arguments)
        return output

    def test_limit_of_one_axis(self) -> None:
        path = self.scan("fig4_q_e", "--nodes", "241")
        self.nuscan("limits", str(path))
        found = table1.limit_of_grid(nuscan_plots.load(path).limits[0.9]["q_e"])
        answer = json.loads(self.nuscan("limits", "--experiment", "xenonnt_sr0", "--parameter", "q_e", "--json"))
        self.assertLess(table1.difference(found, table1.limits_of(answer)["q_e"]), GRID_AND_ROOT)

    def test_mediator(self) -> None:
        path = self.scan("fig6_vector", "--nodes", "61", "--experiment", "xenonnt_sr0")
        self.nuscan("limits", str(path))
        surface = nuscan_plots.load(path)
        curve = draw.mass_curve(surface)
        answer = json.loads(
            self.nuscan("limits", "--experiment", "xenonnt_sr0", "--parameter", "g_V", "--set", f"m_V={curve.mass[30]!r}", "--json")
        )
        self.assertAlmostEqual(curve.upper[30] / answer["limits"][0]["intervals"][-1][1], 1.0, delta=5e-3)  # 61 nodes over 6 decades
        self.assertTrue(surface.contours[0.9].lines)

    def test_a_scan_used_again_and_one_that_is_damaged(self) -> None:
        program = Program(NUSCAN)
        (task,) = (scan for scan in plan(self.folder, True) if scan.name == "fig2_mu_e xenonnt_sr0")
        _, there = run_one(program, task, True, False)
        self.assertFalse(there)
        seconds, there = run_one(program, task, True, False)
        self.assertTrue(there)
        self.assertEqual(seconds, nuscan_plots.load(task.output).meta["wall_time_s"])
        task.output.write_bytes(task.output.read_bytes()[:3000])
        self.fails(lambda: run_one(program, task, True, False), "truncated", "delete this one file", f"rm {task.output}")

    def test_profile_of_a_cube(self) -> None:
        path = self.scan("fig3_lambda", "--nodes", "13")
        self.nuscan("limits", str(path), "--keep", "Lambda_1", "Lambda_2")
        surface = nuscan_plots.load(path)
        profile = surface.profiles["Lambda_1,Lambda_2"]
        np.testing.assert_array_equal(profile.chi2, surface.chi2.min(axis=2))
        self.assertEqual(profile.profiled_axes, ("Lambda_3",))
        self.assertTrue(profile.contours[0.9].lines)

    def test_every_grid_of_the_paper_is_valid(self) -> None:
        grids = [path for path in sorted(places.GRIDS.glob("*.toml")) if not path.name.startswith("fig1_")]
        self.assertGreaterEqual(len(grids), 31)
        for grid in grids:
            self.nuscan("-q", "plan", str(grid))

    def test_benchmarks(self) -> None:
        values = {"m_V": 0.01}
        coupling = benchmarks.limit_of_coupling(Program(NUSCAN), "xenonnt_sr0", "g_V", values)
        point = benchmarks.Benchmark({**values, "g_V": coupling}, mock.Mock(), "g_V")
        self.assertIn(f"vector, $g_{{V}} = {quantities.power_tex(coupling, computed=True)}$", point.label)
        self.assertEqual((quantities.power_tex(1.1e-7, computed=True), quantities.power_tex(5e-13)), (r"1.10 \times 10^{-7}", r"5 \times 10^{-13}"))


if __name__ == "__main__":
    NUSCAN = Path(sys.argv.pop(1)).resolve()
    unittest.main()
