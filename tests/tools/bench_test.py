"""tools/bench: compare's verdicts and exit codes, and the pieces of the NumPy baseline."""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "tools" / "bench"


def load_baselines() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("baselines", BENCH / "baselines.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(case: str, points_per_s: float | None, noise: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"case": case, "threads": 1, "points_per_s": points_per_s, "roofline_fraction": 0.5, "noise": noise, **more}


class Compare(unittest.TestCase):
    OLD = {
        "machine": {"cpu": "one"},
        "ceilings": {"fma_gflops": 50.0},
        "rows": [row("a/factored", 1e6), row("b/factored", 1e6), row("c/factored", 1e6, 0.10), row("d/direct", 1e6)],
    }

    def run_compare(self, old: Any, new: Any, *options: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / "old.json", Path(folder) / "new.json"]
            for path, content in zip(paths, (old, new)):
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            return subprocess.run([sys.executable, BENCH / "compare", *map(str, paths), *options], capture_output=True, text=True)

    def verdicts(self, text: str) -> dict[str, str]:
        return {line.split()[1]: line.split()[-1] for line in text.splitlines() if line.startswith("rows")}

    def changed(self, **speeds: float) -> dict[str, Any]:
        new = copy.deepcopy(self.OLD)
        for entry in new["rows"]:
            entry["points_per_s"] *= speeds.get(entry["case"][0], 1.0)
        return new

    def test_same_file_has_no_change(self) -> None:
        done = self.run_compare(self.OLD, self.OLD, "--check")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("4 cases: 0 faster, 0 slower, 0 new, 0 gone", done.stdout)

    def test_change_beyond_the_threshold(self) -> None:
        # 2% is the default threshold, for case c its noise of 2 * 14% is.
        done = self.run_compare(self.OLD, self.changed(a=1.05, b=0.95, c=0.80, d=0.985))
        self.assertEqual(done.returncode, 0, done)
        verdicts = self.verdicts(done.stdout)
        self.assertEqual(verdicts["a/factored"], "faster")
        self.assertEqual(verdicts["b/factored"], "SLOWER")
        self.assertNotIn(verdicts["c/factored"], ("faster", "SLOWER"))
        self.assertNotIn(verdicts["d/direct"], ("faster", "SLOWER"))

    def test_check_fails_for_slower_cases_only(self) -> None:
        self.assertEqual(self.run_compare(self.OLD, self.changed(b=0.95), "--check").returncode, 1)
        self.assertEqual(self.run_compare(self.OLD, self.changed(b=1.50), "--check").returncode, 0)
        self.assertEqual(self.run_compare(self.OLD, self.changed(b=0.95), "--check", "--threshold", "0.1").returncode, 0)

    def test_case_that_is_gone_fails_the_check(self) -> None:
        new = copy.deepcopy(self.OLD)
        new["rows"][0]["points_per_s"] = None
        new["rows"].append(row("e/direct", 1e3))
        done = self.run_compare(self.OLD, new, "--check")
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(self.verdicts(done.stdout)["a/factored"], "gone")
        self.assertEqual(self.verdicts(done.stdout)["e/direct"], "new")

    def test_models_are_cases_of_their_own(self) -> None:
        old = {"models": [row("a/factored", 1e6, model="m_V g_V"), row("a/factored", 2e6, model="q_e q_mu")]}
        new = copy.deepcopy(old)
        new["models"][1]["points_per_s"] = 1e6
        done = self.run_compare(old, new, "--changed")
        self.assertIn("q_e q_mu", done.stdout)
        self.assertNotIn("m_V g_V", done.stdout)
        self.assertIn("2 cases: 0 faster, 1 slower", done.stdout)

    def test_output_is_a_case_of_its_own(self) -> None:
        # 1.04 against 1.20 times the time of the points alone, while the whole scan took as long: the machine was faster.
        old = {"scans": [row("a/factored", 1e7, 0.01, output_adds=0.04)]}
        new = {"scans": [row("a/factored", 1e7, 0.01, output_adds=0.20)]}
        done = self.run_compare(old, new, "--check")
        self.assertEqual(done.returncode, 1, done)
        output = [line.split() for line in done.stdout.splitlines() if line.startswith("output")]
        self.assertEqual([(line[1], line[-1]) for line in output], [("a/factored", "SLOWER")], done)
        self.assertIn("2 cases: 0 faster, 1 slower", done.stdout)
        # Files of before have no such figure.
        self.assertIn("1 cases", self.run_compare({"scans": [row("a/factored", 1e7)]}, {"scans": [row("a/factored", 1e7)]}).stdout)

    def test_other_machine_is_said(self) -> None:
        new = self.changed()
        new["machine"] = {"cpu": "two"}
        new["ceilings"] = {"fma_gflops": 30.0}
        done = self.run_compare(self.OLD, new)
        self.assertIn("note: cpu differs: one and two", done.stdout)
        self.assertIn("note: the machine itself was at 50.0 and 30.0 Gflop/s with 1 thread:", done.stdout)

    def test_core_that_is_missing_is_said(self) -> None:
        old = {**self.OLD, "ceilings_by_threads": [{"threads": 1, "fma_gflops": 50.0}, {"threads": 2, "fma_gflops": 100.0}]}
        new = {**self.OLD, "ceilings_by_threads": [{"threads": 1, "fma_gflops": 50.0}, {"threads": 2, "fma_gflops": 50.0}]}
        notes = [line for line in self.run_compare(old, new).stdout.splitlines() if line.startswith("note:")]
        self.assertEqual(len(notes), 1, notes)
        self.assertIn("at 100.0 and 50.0 Gflop/s with 2 threads", notes[0])

    def test_unreadable_files(self) -> None:
        bad_noise = json.dumps({"rows": [{**row("a/factored", 1e6), "noise": "x"}]})
        deep = "[" * 100000
        for content in ("", "[]", "{}", deep, '{"rows": 1}', '{"rows": [{"threads": 1}]}', '{"rows": [], "ceilings": null}', bad_noise):
            done = self.run_compare(self.OLD, content)
            self.assertEqual(done.returncode, 2, done)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


class Baselines(unittest.TestCase):
    def setUp(self) -> None:
        self.baselines = load_baselines()

    def test_step_solves_the_normal_equations(self) -> None:
        random = np.random.default_rng(1)
        root = random.normal(size=(7, 3, 3))
        hessian = root @ root.transpose(0, 2, 1) + 3.0 * np.eye(3)
        gradient = random.normal(size=(7, 3))
        columns = [[hessian[:, a, b] for b in range(a + 1)] for a in range(3)]
        # So large that the bound on the signal is far away.
        step, decrement = self.baselines.solve_lower(columns, list(gradient.T), np.full(7, 1e6))
        expected = np.linalg.solve(hessian, -gradient[:, :, None])[:, :, 0]
        # Rounding of well-conditioned matrices.
        np.testing.assert_allclose(np.array(step).T, expected, rtol=1e-12)
        np.testing.assert_allclose(decrement, -np.einsum("pa,pa->p", gradient, expected), rtol=1e-12)

    def test_signal_stops_at_zero(self) -> None:
        # chi^2/2 = (x + 5)^2/2 + (u + 3)^2/2 + x u/2 at x = 0, u = 1: the minimum over u >= 0 is at u = 0, x = -5.
        gradient = [np.array([5.5]), np.array([4.0])]
        hessian = [[np.array([1.0])], [np.array([0.5]), np.array([1.0])]]
        step, _ = self.baselines.solve_lower(hessian, gradient, np.array([1.0]))
        self.assertEqual(step[1][0], -1.0)
        self.assertAlmostEqual(step[0][0], -5.0, delta=1e-14)


if __name__ == "__main__":
    unittest.main()
