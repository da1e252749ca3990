#!/usr/bin/env python3
"""Registers, spills, stack and shared memory of the kernels as ptxas reports them, against the ceilings of kernels/ceilings.json; and
no arithmetic in single precision in their PTX.

usage: check_device_code.py CEILINGS.json PTX PTXAS_REPORT
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

# The library's logarithm compares the upper half of a number as a float to find 0; that is no arithmetic.
SINGLE_PRECISION = re.compile(r"^\s*(?:@!?%\w+\s+)?(\w[\w.]*\.f32[\w.]*)", re.MULTILINE)
ALLOWED = re.compile(r"^(setp\.\w+|mov|ld|st|selp)\b.*\.f32")


def demangle(names: list[str]) -> list[str]:
    """Kernel names without arguments and namespaces: factored_kernel<3, 2>."""
    text = subprocess.run(["c++filt"], input="\n".join(names), text=True, capture_output=True, check=True).stdout.splitlines()
    return [re.sub(r"\(nuscan::.*", "", re.sub(r"^(void )?nuscan::cuda::\(anonymous namespace\)::", "", name)) for name in text]


def read_report(text: str) -> dict[str, dict[str, int]]:
    """Figures of every kernel in the output of ptxas -v."""
    kernels: dict[str, dict[str, int]] = {}
    current: dict[str, int] | None = None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            current = kernels[match[1]] = {"registers": 0, "stack": 0, "spills": 0, "shared": 0}
        elif current is not None and (match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", line)):
            current["stack"] = int(match[1])
            current["spills"] = int(match[2]) + int(match[3])
        elif current is not None and (match := re.search(r"Used (\d+) registers", line)):
            current["registers"] = int(match[1])
            if shared := re.search(r"(\d+) bytes smem", line):
                current["shared"] = int(shared[1])
    return dict(zip(demangle(list(kernels)), kernels.values()))


def occupancy_percent(registers: int, shared: int) -> float:
    """Share of the 64 warps of an sm_90 multiprocessor that run at once, in blocks of 128 threads with so many registers per thread
    and bytes of shared memory per block. Rules of the CUDA occupancy calculator: registers go to warps in units of 256 out of
    16384 in each of four quarters; shared memory to blocks in units of 128 bytes, 1 KiB of it for the system, out of 228 KiB."""
    warps_per_block = 4
    registers_per_warp = -(-registers * 32 // 256) * 256
    by_registers = 16384 // registers_per_warp * 4 // warps_per_block
    by_shared = 228 * 1024 // (-(-(shared + 1024) // 128) * 128)
    blocks = min(by_registers, by_shared, 64 // warps_per_block, 32)
    return 100.0 * blocks * warps_per_block / 64


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    ceilings = json.loads(Path(sys.argv[1]).read_text())["kernels"]
    ptx = Path(sys.argv[2]).read_text()
    kernels = read_report(Path(sys.argv[3]).read_text())
    problems = []
    for name in ceilings.keys() - kernels.keys():
        problems.append(f"{name}: has ceilings but is not in the report of ptxas")
    for name, figures in kernels.items():
        if name not in ceilings:
            problems.append(f"{name}: has no ceilings; add it to {sys.argv[1]} with the figures {figures}")
            continue
        for key, figure in figures.items():
            if figure > ceilings[name][key]:
                problems.append(f"{name}: {key} {figure} above the ceiling {ceilings[name][key]}")
        text = f"{name}: {figures['registers']} registers, {figures['stack']} bytes of stack, {figures['spills']} spilled"
        if floor := ceilings[name].get("occupancy_percent"):
            percent = occupancy_percent(figures["registers"], figures["shared"] + ceilings[name]["dynamic_shared"])
            text += f", occupancy {percent:.0f}%"
            if percent < floor:
                problems.append(f"{name}: occupancy {percent:.0f}% below {floor}%")
        print(text)
    for instruction in sorted({match for match in SINGLE_PRECISION.findall(ptx) if not ALLOWED.match(match)}):
        problems.append(f"PTX holds {instruction}: arithmetic in single precision")
    if ".f64" not in ptx:
        problems.append("PTX without double precision: is this the right file?")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
