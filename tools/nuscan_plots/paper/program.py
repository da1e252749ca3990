"""Runs nuscan: commands that answer with JSON, and the scans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import NuscanError


# nuscan computes contours with this package; this interpreter is known to have what it needs.
INTERPRETER = {"NUSCAN_PYTHON": sys.executable, "NUSCAN_PYTHON_DIR": str(Path(__file__).resolve().parents[2])}


@dataclass
class Program:
    """A nuscan to run commands with; counts the time of each kind."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU-independent wall time by verb, summed over commands that may have run side by side."""
    _lock: Lock = field(default_factory=Lock)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command; raises NuscanError with its own words where it fails."""
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [self.path, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **INTERPRETER}
            )
        except OSError as error:
            raise NuscanError(f"{self.path}: cannot be run ({error.strerror}); see NUSCAN") from error
        with self._lock:
            verb = arguments[0]
            self.seconds[verb] = self.seconds.get(verb, 0.0) + time.monotonic() - begin
        if done.returncode != 0:
            words = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
            reason = "; ".join(words) or f"exit code {done.returncode}"
            raise NuscanError(f"nuscan {' '.join(arguments)}: {reason}")
        return done

    def identity(self) -> str:
        """What the program says of itself: version, commit, compiler. NuscanError unless it is nuscan."""
        try:
            done = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False, errors="replace", timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NuscanError(f"{self.path}: cannot be run ({error}); NUSCAN names another program") from error
        words = next(iter(done.stdout.splitlines()), "")
        if done.returncode != 0 or not words.startswith("nuscan "):
            raise NuscanError(f"{self.path}: is not nuscan (--version says '{words[:60]}'); NUSCAN names another program")
        return words

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        done = self.run(*arguments, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise NuscanError(f"nuscan {' '.join(arguments)} --json: no JSON ({error})") from error


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(tasks: list[Any], function: Any) -> list[Any]:
    """function(task) for all tasks, as many at a time as there are cores, results in the tasks' order.

    Threads will do, as all they do is to wait for nuscan.
    """
    with ThreadPoolExecutor(cores()) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
