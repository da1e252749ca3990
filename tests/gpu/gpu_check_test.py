"""tools/gpu-check without a GPU: its options, its words where there is no device, and its verdicts on programs that stand in for the
real ones. Usage: gpu_check_test.py BUILD, with the programs of the emulator in BUILD."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "gpu-check"
BUILD = Path()


def load() -> types.ModuleType:
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(SCRIPT))
    spec = importlib.util.spec_from_loader("gpu_check", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


gpu_check = load()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # No device may be seen even where there is one.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False)


class CommandLine(unittest.TestCase):
    def test_help(self) -> None:
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("--output", "--dry-run", "--points", "sanitizer", "gpu-check.md"):
            self.assertIn(word, result.stdout)

    def test_wrong_options(self) -> None:
        for arguments in (["--nonsense"], ["--points", "0"], ["--points", "1e6"], ["-j", "-1"], ["-o"], ["extra"]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn("error:", result.stderr)
        self.assertIn("--nonsense", run("--nonsense").stderr)

    def test_no_device(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "report"
            result = run("-o", str(output))
            self.assertEqual(result.returncode, 1)
            for word in ("no CUDA device", "looked for", "to do", "CUDA_VISIBLE_DEVICES"):
                self.assertIn(word, result.stderr)
            self.assertFalse(output.exists())

    def test_dry_run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "report"
            result = run("--dry-run", "-o", str(output), "--points", "77")
            self.assertEqual(result.returncode, 0, result.stderr)
            for word in ("cmake --preset release", "NUSCAN_REQUIRE_GPU=1", "NUSCAN_GPU_POINTS=77", "--tool racecheck", "gpu_bench",
                         "--device cuda", "validate"):  # fmt: skip
                self.assertIn(word, result.stdout)
            self.assertFalse(output.exists())


# Runs what it is to watch for one of its tools; that will do to see that the commands are right.
SANITIZER_WITHOUT_ERRORS = """
tool=$2
status=0
if [ "$tool" = memcheck ]; then
    while ! [ -x "$1" ]; do shift; done
    "$@"
    status=$?
fi
if [ "$tool" = racecheck ]; then
    echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
else
    echo "========= ERROR SUMMARY: 0 errors"
fi
exit $status
"""


INFO: dict[str, Any] = {
    "points": 90000,
    "run": {"backend": "cuda", "points_per_s": 1e9, "device": "pretended"},
    "self_check": {"worst": 1e-11},
    "status": {"not_converged": 0, "not_finite": 0},
}
COMPARED = {
    "name": "RandomPoints/vector_factored",
    "result": "COMPLETED",
    "points": "20",
    "failed": "0",
    "by_the_direct_route": "0",
    "other_route": "0",
    "worst": "1e-15",
}


class Verdicts(unittest.TestCase):
    """Every step, with programs that stand in for those that need a device."""

    def setUp(self) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self._temporary.cleanup)
        self.folder = Path(self._temporary.name)
        self.root = self.folder / "tree"
        self.path = self.folder / "bin"
        build = self.root / "build" / "release"
        self.nuscan = build / "nuscan"
        self.test_gpu = build / "tests" / "gpu" / "test_gpu"
        self.gpu_bench = build / "tools" / "bench" / "gpu_bench"
        self.sanitizer = self.path / "compute-sanitizer"
        old = os.environ["PATH"]
        os.environ["PATH"] = f"{self.path}:{old}"
        self.addCleanup(os.environ.__setitem__, "PATH", old)
        os.environ["NUSCAN_DATA_DIR"] = str(ROOT / "data")

        self.program(self.path / "cmake", "")
        self.program(self.path / "ctest", self.junit(tests=45, failures=0, skipped=1))
        self.program(self.sanitizer, SANITIZER_WITHOUT_ERRORS)
        self.program(self.nuscan, f"[ $1 != info ] || echo '{json.dumps(INFO)}'")
        report = json.dumps({"testsuites": [{"testsuite": [COMPARED]}]})
        self.program(self.test_gpu, f"for word; do file=${{word#*json:}}; done; [ -z \"$file\" ] || echo '{report}' >\"$file\"")
        # The ratio of times is not what it is on a device.
        self.set_time_ratio("2.01")

    def set_time_ratio(self, ratio: str) -> None:
        tiny = "--points 512 --masses 4 --direct 40 --repeat 1 --bytes 65536 --fma 24"
        change = f's/"time_of_twice_the_work": [^,]*/"time_of_twice_the_work": {ratio}/'
        self.program(self.gpu_bench, f"'{BUILD}/tools/bench/gpu_bench_emulated' {tiny} | sed '{change}'")

    @staticmethod
    def junit(**counts: int) -> str:
        attributes = " ".join(f'{name}=\\"{count}\\"' for name, count in counts.items())
        return f'for word; do file=$word; done; echo "<testsuite {attributes}></testsuite>" >"$file"'

    @staticmethod
    def program(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\nset -o pipefail\n{text}\n")
        path.chmod(0o755)

    def check(self, sanitizer: bool = True) -> tuple[bool, dict[str, dict[str, str]]]:
        self.output = self.folder / "report"
        setup = gpu_check.Setup(
            root=self.root,
            folder=self.output,
            devices=[gpu_check.Device("pretended", "9.0", 2**37), gpu_check.Device("another", "8.0", 2**36)],
            driver={"supports CUDA": "13.0"},
            nvcc=None,
            sanitizer=str(self.sanitizer) if sanitizer else None,
            points=20,
            jobs=1,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            passed = gpu_check.check(setup)
        self.report = json.loads((self.output / "gpu-check.json").read_text())
        self.assertEqual(self.report["verdict"], "pass" if passed else "fail")
        self.readable = (self.output / "gpu-check.md").read_text()
        return passed, {step["name"]: step for step in self.report["steps"]}

    def test_everything_passes(self) -> None:
        # The real programs: nuscan on the CPU under the other's name, tests and benchmark in the emulator.
        self.program(
            self.nuscan,
            f"for word; do shift; case $word in cuda*) word=cpu ;; esac; set -- \"$@\" \"$word\"; done\n"
            f"'{BUILD}/nuscan' \"$@\" | sed 's/\"backend\": *\"cpu\"/\"backend\": \"cuda\"/'\n",
        )
        self.program(self.test_gpu, f"exec '{BUILD}/tests/gpu/test_gpu_emulated' \"$@\"")
        passed, steps = self.check()
        self.assertTrue(passed, steps)
        self.assertEqual({step["verdict"] for step in steps.values()}, {"pass"})
        self.assertIn("-DCMAKE_CUDA_ARCHITECTURES=80;90", steps["build"]["commands"][0])
        models = steps["compare"]["figures"]["models"]
        self.assertEqual(len(models), 16)
        self.assertLess(steps["compare"]["figures"]["worst"], 1e-10)
        self.assertEqual(steps["sanitizer_memcheck"]["figures"], {"runs": 6, "errors": 0})
        self.assertEqual(steps["scan"]["figures"]["scan_lz"]["points"], 90000)
        for word in ("vector_factored", "chi2_from_rates", "lz_ws2022", "best_fit", "pretended", "another"):
            self.assertIn(word, self.readable)
        self.assertNotIn("None", self.readable)

    def test_failures(self) -> None:
        # One run with a failure in each step that allows the others to go on.
        self.program(self.path / "ctest", self.junit(tests=45, failures=3, skipped=0) + "; exit 8")
        self.program(self.test_gpu, "exit 1")
        self.program(self.sanitizer, SANITIZER_WITHOUT_ERRORS.replace("SUMMARY: 0", "SUMMARY: 2") + "exit 9")
        self.set_time_ratio("1.02")
        info = json.dumps({**INFO, "run": {**INFO["run"], "backend": "cpu"}})
        self.program(self.nuscan, f"[ $1 != info ] || echo '{info}'; [ $1 != validate ]")
        passed, steps = self.check()
        self.assertFalse(passed)
        failed = {name for name, step in steps.items() if step["verdict"] == "fail"}
        self.assertEqual(failed, set(steps) - {"build"})
        self.assertIn("exit status 8", steps["tests"]["reason"])
        self.assertIn("compare.json", steps["compare"]["reason"])
        self.assertIn("errors", steps["sanitizer_racecheck"]["reason"])
        self.assertIn("1.02 times as long", steps["benchmark"]["reason"])
        self.assertIn("validate", steps["scan"]["reason"])
        self.assertIn("computed by cpu", steps["scan"]["reason"])

    def test_doing_nothing_is_no_pass(self) -> None:
        self.program(self.path / "ctest", self.junit(tests=45, failures=0, skipped=45))
        self.program(self.sanitizer, "exit 0")
        for program in (self.test_gpu, self.gpu_bench, self.nuscan):
            self.program(program, "exit 0")
        passed, steps = self.check()
        self.assertFalse(passed)
        self.assertEqual({name for name, step in steps.items() if step["verdict"] == "pass"}, {"build"})
        self.assertIn("without a summary", steps["sanitizer_initcheck"]["reason"])

    def test_without_sanitizer(self) -> None:
        passed, steps = self.check(sanitizer=False)
        self.assertTrue(passed)
        self.assertEqual(steps["sanitizer_memcheck"]["verdict"], "skipped")
        self.assertIn("not installed", steps["sanitizer_memcheck"]["reason"])
        self.assertIn("skipped (optional)", self.readable)

    def test_nothing_runs_without_a_build(self) -> None:
        self.program(self.path / "cmake", "exit 1")
        passed, steps = self.check()
        self.assertFalse(passed)
        self.assertEqual(steps["build"]["verdict"], "fail")
        self.assertEqual({step["verdict"] for name, step in steps.items() if name != "build"}, {"skipped"})
        self.assertEqual(steps["scan"]["reason"], "build did not pass")


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
