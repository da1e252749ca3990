"""Draws surface files; see --help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import NuscanError
from .published import PublishedError


def confidence(argument: str) -> float:
    """A confidence level between 0 and 1."""
    value = float(argument)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{argument} is not between 0 and 1")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/plot",
        description="Draws surfaces of nuscan scan, several experiments in one picture: Delta chi^2 of one axis, contours of two (for a "
        "mediator, with other experiments' limits: data/limits/curves and NUSCAN_LIMITS_DIR).",
        epilog="example: tools/plot -o vector.pdf vector_lz.h5 vector_xenonnt.h5",
    )
    parser.add_argument("surfaces", nargs="+", type=Path, metavar="FILE.h5", help="surface over one or two axes, the same in all files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture; its ending (png, pdf, svg) chooses the format")
    parser.add_argument("--profile", metavar="AXIS[,AXIS]", help="draw this stored profile of larger surfaces (nuscan profile)")
    parser.add_argument("--cl", type=confidence, action="append", help="confidence level of contours; may repeat (default: 0.90)")
    parser.add_argument("--limits", action="store_true", help="of a mediator draw the limits that nuscan limits stored, not the contours")
    arguments = parser.parse_args()
    for cl in arguments.cl or []:
        if arguments.cl.count(cl) > 1:
            parser.error(f"argument --cl: {cl:g} is given twice")
    try:
        from .overview import draw_files

        draw_files(arguments.surfaces, arguments.output, arguments.profile, arguments.cl or [0.90], arguments.limits)
    except (NuscanError, PublishedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ArithmeticError, ValueError) as error:
        # Axes over hundreds of decades are more than matplotlib can tick.
        print(f"error: {', '.join(map(str, arguments.surfaces))}: cannot be drawn: {error}; plot a profile or a narrower scan", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
