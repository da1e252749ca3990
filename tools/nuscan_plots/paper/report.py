"""The report of a run: one HTML page that needs nothing from outside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .. import quantities
from ..published import LimitCurve, PublishedLimit
from .scans import EXPERIMENTS, Finished
from .statements import NAMES, Numbers, Statement, interval
from .table1 import GRID_TOLERANCE, TOLERANCE, Limit, Row, difference
from .uncertainties import VARIATIONS, Effect

PARAMETERS = (
    "mu_e", "mu_mu", "mu_tau", "mu_universal", "Lambda_1", "Lambda_2", "Lambda_3", "q_e", "q_mu", "q_tau",
    "r2_e", "r2_mu", "r2_tau", "a_e", "a_mu", "a_tau",
)  # fmt: skip
FAMILIES = ("mu", "Lambda", "q", "r2")
"""Shown in the table of inputs; anapole moments shift with the charge radii."""

CAPTIONS = {
    "fig1": "Data with central 68.27% Poisson intervals, background, Standard Model, and benchmark points: magnetic moment, millicharge "
    "and charge radius above; mediators of 10 keV, each at its own 90% C.L. limit in that experiment, below. No pull is applied: in the fit, the "
    "normalisation of <sup>37</sup>Ar (LZ, 2.8 keV) comes down. Narrow panels: what a point adds to the Standard Model, in the unit of the "
    "panel above.",
    "fig2": "&Delta;&chi;<sup>2</sup> of the effective magnetic moments, one at a time.",
    "fig3": "90% C.L. regions (two parameters). Above: effective magnetic moments, the third one 0. Below: moduli of the transition "
    "moments, &chi;<sup>2</sup> minimised over the third one.",
    "fig4": "&Delta;&chi;<sup>2</sup> of millicharges (above) and charge radii (below), one at a time. The hump of the charge radius of "
    "&nu;<sub>e</sub> in XENONnT stays just below the threshold of 90% C.L.",
    "fig5": "90% C.L. regions (two parameters) of millicharges (above) and charge radii (below), the third one 0. The frame is that of the "
    "paper; contours with LZ's own efficiency may leave it. In the planes with the charge radius of &nu;<sub>e</sub>, &chi;<sup>2</sup> is "
    "least along a ring and almost flat on it (the square of what is new cancels its interference with the Standard Model there): the star is its "
    "lowest node, not a preferred value. The hump inside the ring stays below the threshold, so that the regions have no hole.",
    "fig6": "Limits on the coupling of a mediator against its mass, 90% C.L., one parameter, &chi;<sup>2</sup> least at each mass. Last "
    "panel: all mediators, XENONnT. Where only one line of LZ is seen, both efficiencies give the same limit.",
    "fig7": "Limits on vector and scalar mediators, as in Fig. 6, beside other experiments as far as their curves are at hand.",
    "fig8": "&Delta;&chi;<sup>2</sup> of anapole moments, one at a time; a charge radius acts as a = &minus;r<sup>2</sup>/6.",
}  # fmt: skip

STYLE = """
body { font: 16px/1.5 Georgia, serif; color: #1a1a1a; max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem; }
h1, h2 { font-weight: normal; line-height: 1.2; } h2 { margin-top: 2.6rem; border-bottom: 1px solid #bbb; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .6rem; text-align: right; border-bottom: 1px solid #e2e2e2; vertical-align: top; }
th { font-weight: normal; border-bottom: 1px solid #777; } th:first-child, td:first-child, td.text { text-align: left; }
figure { margin: 1.6rem 0; } figure img { max-width: 100%; height: auto; } figcaption { font-size: .9rem; color: #333; max-width: 60rem; }
.scroll { overflow-x: auto; } .ok { color: #00634a; } .off { color: #b00020; font-weight: bold; }
.verdict { font-weight: bold; } ul { margin: .3rem 0 1.2rem; } .criterion, .small { font-size: .86rem; color: #444; }
code { font-size: .86rem; }
"""


@dataclass(frozen=True)
class Report:
    """What the page is made of."""

    rows: list[Row]
    numbers: Numbers
    grids: dict[tuple[str, str], Limit]
    statements: list[Statement]
    effects: list[Effect]
    figures: dict[str, list[Path]]
    finished: list[Finished]
    seconds: dict[str, float]
    """Wall time by stage."""
    program: str
    """What the program of this run says of itself: version, commit, compiler."""
    metas: dict[str, dict[str, Any]]
    """Provenance of every surface used, by name of the scan."""
    data_sha256: dict[str, set[str]]
    """SHA-256 of every data file; several where scans of different times saw different ones."""
    quick: bool
    peak_memory: float
    """Of the largest process, in GiB."""


def mark(good: bool, text: str) -> str:
    """Green or red."""
    return f'<span class="{"ok" if good else "off"}">{text}</span>'


def table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table; cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def printed(row: Row | None) -> str:
    """The paper's number, with its misprint marked."""
    if row is None or row.paper.upper is None:
        return "&ndash;"
    scale = quantities.customary(row.paper.parameter)
    upper = f"{row.paper.upper / scale:.4g}"
    text = f"&lt; {upper}" if row.paper.lower is None else f"[{row.paper.lower / scale:.4g}, {upper}]".replace("-", "&minus;")
    return text + ("*" if row.paper.compare_with is not None else "")


def ratio_text(row: Row | None) -> str:
    if row is None:
        return "&ndash;"
    ratios = [f"{ratio:.3f}" for ratio in (row.ratio_lower, row.ratio_upper) if ratio is not None]
    return mark(row.verdict == "ok", " ".join(ratios) or "none")


def other_text(limits: list[PublishedLimit], scale: float) -> str:
    """Other experiments' limits on a parameter, one a line."""
    lines = []
    for limit in limits:
        upper = f"{limit.upper / scale:.4g}"
        text = f"&lt; {upper}" if limit.lower is None else f"[{limit.lower / scale:.4g}, {upper}]".replace("-", "&minus;")
        level = "" if abs(limit.cl - 0.9) < 1e-9 else f", {100 * limit.cl:g}% C.L."
        lines.append(f"{escape(limit.experiment)}: {text} ({escape(limit.reference)}{level})")
    return "<br>".join(lines)


def table1_section(report: Report) -> str:
    by_key = {(row.paper.experiment, row.paper.parameter): row for row in report.rows}
    body = []
    for name in PARAMETERS:
        scale = quantities.customary(name)
        limits = {experiment: report.numbers.limits[experiment][name] for experiment in EXPERIMENTS}
        cells = [f"{quantities.html(name)} [{quantities.unit_html(name, limits[EXPERIMENTS[0]].unit)}]"]
        for experiment in EXPERIMENTS[:2]:
            row = by_key.get((experiment, name))
            cells += [printed(row), interval(limits[experiment], scale), ratio_text(row)]
        cells.append(interval(limits[EXPERIMENTS[2]], scale))
        cells.append(f'<span class="small">{other_text([o for o in report.numbers.others if o.parameter == name], scale)}</span>')
        body.append(cells)
    header = [
        "90% C.L.", "XENONnT, paper", "reproduced", "ratio", "LZ, paper", "fitted", "ratio", "LZ, own efficiency", "other experiments",
    ]  # fmt: skip
    notes = [f"<li>* {escape(row.paper.parameter)}, {row.paper.experiment}: {escape(row.note)}</li>" for row in report.rows if row.paper.misprint]
    notes += [f"<li>{escape(row.paper.parameter)}, {row.paper.experiment}: {escape(row.note)}</li>" for row in report.rows if row.note and not row.paper.misprint]
    others = [o for o in report.numbers.others if o.parameter not in PARAMETERS]
    notes += [f"<li>{escape(o.parameter)}: {other_text([o], 1.0)} [{escape(o.unit)}]</li>" for o in others]
    return (
        "<h2>Table I</h2>\n"
        "<p>One parameter at a time. <b>Reproduced</b>: nothing is tuned. <b>Fitted</b>: the paper's LZ efficiency is not published; three "
        "numbers that describe it were fitted to these limits, so agreement there tests nothing. <b>Own efficiency</b>: with the one "
        f"that LZ published later for the same data. Ratios are nuscan over paper, for each end; within {100 * TOLERANCE:g}% is "
        f"{mark(True, 'ok')}, beyond it {mark(False, 'off')}.</p>\n" + table(header, body) + f"<ul class='small'>{''.join(notes)}</ul>"
    )


def statements_section(report: Report) -> str:
    parts = []
    for statement in report.statements:
        checks = "".join(f"<li>{mark(check.holds, '&check;' if check.holds else '&cross;')} {check.text}</li>" for check in statement.checks)
        parts.append(
            f"<p>{statement.text} {mark(statement.verdict == 'confirmed', statement.verdict)}<br>"
            f'<span class="criterion">Criterion: {statement.criterion}.</span></p><ul>{checks or "<li>no numbers at hand to compare with</li>"}</ul>'
        )
    return (
        "<h2>Statements of the paper</h2>\n<p>Each is held to a criterion; <b>partly</b> means that some of its numbers meet it and "
        "others do not.</p>\n" + "\n".join(parts)
    )


def figures_section(report: Report) -> str:
    parts = ["<h2>Figures</h2>"]
    for name, files in sorted(report.figures.items()):
        png = next(path for path in files if path.suffix == ".png")
        picture = base64.b64encode(png.read_bytes()).decode("ascii")
        title = f"Fig. {name.removeprefix('fig')}"
        note = missing_curves(report.numbers.published_curves) if name == "fig7" else ""
        parts.append(
            f'<figure id="{name}"><img alt="{title}" src="data:image/png;base64,{picture}">'
            f"<figcaption><b>{title}.</b> {CAPTIONS[name]}{note}</figcaption></figure>"
        )
    return "\n".join(parts)


def missing_curves(curves: list[LimitCurve]) -> str:
    """What Fig. 7 shows of others, or that it shows nothing."""
    drawn = [curve for curve in curves if curve.parameter in ("g_V", "g_S")]
    if not drawn:
        return (
            " <b>No curve of another experiment is at hand</b>: the paper draws COHERENT, CONNIE, CONUS and Borexino without giving numbers. "
            "A CSV file in data/limits/curves, or in the folder that NUSCAN_LIMITS_DIR names, adds one."
        )
    return " Curves: " + "; ".join(f"{escape(curve.label)} ({escape(curve.parameter)}, {escape(curve.reference)})" for curve in drawn) + "."


def percent(change: float) -> str:
    """A relative change with its sign, as HTML."""
    return "0" if abs(change) < 5e-5 else f"{100 * change:+.2f}".replace("-", "&minus;")


def shift_cell(effect: Effect | None, family: str) -> str:
    """The largest shift in a family, and limits of it that change their shape."""
    shift = effect.of_family(family) if effect else None
    if effect is None or shift is None:
        return "&ndash;"
    cell = f'<span title="{shift.parameter}, {shift.end}">{percent(shift.change)}</span>'
    lines = [quantities.html(shift.parameter)] if abs(shift.change) >= 0.01 else []
    lines += [f"{quantities.html(r.parameter)} {r.what}" for r in effect.reshaped if quantities.family(r.parameter) == family]
    return cell + "".join(f"<br><span class='small'>{line}</span>" for line in lines)


def inputs_section(report: Report) -> str:
    by_key = {(effect.variation, effect.experiment): effect for effect in report.effects}
    body = [
        [variation.text, *(shift_cell(by_key.get((variation, e)), family) for e in EXPERIMENTS for family in FAMILIES)]
        for variation in VARIATIONS
    ]
    symbols = {"mu": "&mu;", "Lambda": "&Lambda;", "q": "q", "r2": "r<sup>2</sup>"}
    header = ["change of the limits [%]", *(f"{NAMES[e]}, {symbols[f]}" for e in EXPERIMENTS for f in FAMILIES)]
    notes = [note for effect in report.effects for note in notes_on(effect)]
    listed = f"<ul class='small'>{''.join(f'<li>{note}</li>' for note in notes)}</ul>" if notes else ""
    return (
        "<h2>Uncertain inputs</h2>\n<p>One input changed at a time, all limits computed again: the largest relative change of any end of a "
        "limit in each family of parameters (which one: hover over the number), and which intervals split, merge, or come or cease to be "
        "marginal. A number is the largest of its family, not the only one: below the table, all limits that move by more than "
        f"{100 * TOLERANCE:g}%. Anapole moments follow the charge radii, a = &minus;r<sup>2</sup>/6.</p>\n" + table(header, body) + listed
    )


def notes_on(effect: Effect) -> list[str]:
    """What a table of largest shifts does not tell of an effect: limits that change their shape, and everything that moves far."""
    where = f"{effect.variation.text}, {NAMES[effect.experiment]}: "
    notes = []
    for reshaped in effect.reshaped:
        name = reshaped.parameter
        before, after = reshaped.before, reshaped.after
        scale = quantities.customary(name)
        texts = [interval(limit, scale) + (" (marginal)" if limit.marginal else "") for limit in (before, after)]
        notes.append(f"{where}{quantities.html(name)} {reshaped.what}: {texts[0]} becomes {texts[1]} {quantities.unit_html(name, before.unit)}")
    far = [shift for shift in effect.shifts.values() if abs(shift.change) > TOLERANCE]
    if far:
        notes.append(where + ", ".join(f"{quantities.html(shift.parameter)} {percent(shift.change)}%" for shift in far))
    return notes


def counts_section(report: Report) -> str:
    numbers = report.numbers
    body = []
    for experiment in EXPERIMENTS:
        key = experiment if experiment in numbers.collaboration_events else "lz_ws2022"
        theirs, error = numbers.collaboration_events[key], numbers.collaboration_events.get(f"{key}_error")
        step, bound = numbers.sm_events[experiment], numbers.sm_events_rrpa[experiment]
        theirs_text = f"{theirs:.1f}" + ("" if error is None else f" &plusmn; {error:.1f}")
        body.append([NAMES[experiment], f"{step:.2f}", f"{bound:.2f}", theirs_text, f"{step / theirs:.3f}", f"{bound / theirs:.3f}"])
    header = ["solar neutrino events, SM", "free electrons", "bound electrons (RRPA)", "collaboration", "ratio, free", "ratio, bound"]
    return (
        "<h2>Standard Model counts</h2>\n" + table(header, body) + "<p class='small'>Free: electrons count above their binding "
        "energy, as in the paper and in all limits here. XENONnT's number is for 1&ndash;30 keV, digitised from Fig. 4 of arXiv:2207.11330; "
        "LZ's is from arXiv:2207.03764. No one treatment meets both: the random phase approximation with relativistic wave functions (RRPA) brings "
        "LZ to its own number and takes XENONnT away from its, which free electrons meet.</p>"
    )


def agreement_section(report: Report) -> str:
    body = []
    for name in PARAMETERS:
        scale = quantities.customary(name)
        cells = [quantities.html(name)]
        for experiment in EXPERIMENTS:
            grid = report.grids.get((experiment, name))
            if grid is None:
                cells += ["&ndash;", "&ndash;"]
                continue
            worst = difference(grid, report.numbers.limits[experiment][name])
            cells += [interval(grid, scale), mark(worst <= GRID_TOLERANCE, f"{worst:.1e}")]
        body.append(cells)
    header = ["limit off the grid", *(text for e in EXPERIMENTS for text in (NAMES[e], "difference"))]
    return (
        f"<h2>Grids against root finding</h2>\n<p>Limits read off the scans of one axis, beside those of Table I, which a root finder found "
        f"without a grid; {100 * GRID_TOLERANCE:g}% is allowed.</p>\n" + table(header, body)
    )


def program_of(meta: dict[str, Any]) -> str:
    """The program that made a surface."""
    modified = ", modified" if meta.get("dirty") else ""
    return f"nuscan {escape(str(meta['version']))}, commit <code>{escape(str(meta['commit']))}</code>{modified}, {escape(str(meta['compiler']))}"


def makers(metas: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Who made the surfaces, where and when: rows of program, machine, number of scans, first and last time."""
    found: dict[tuple[str, str], list[str]] = {}
    for meta in metas.values():
        found.setdefault((program_of(meta), f"{escape(str(meta['device']))}, {escape(str(meta['host']))}"), []).append(str(meta["start_utc"]))
    return [
        [program, machine, str(len(times)), escape(min(times)), escape(max(times))] for (program, machine), times in sorted(found.items())
    ]


def provenance_section(report: Report) -> str:
    points = sum(finished.scan.points for finished in report.finished)
    reused = sum(finished.reused for finished in report.finished)
    checks = {name: meta.get("self_check", {}) for name, meta in report.metas.items()}
    worst = max(checks, key=lambda name: float(checks[name].get("worst", 0.0)))
    recomputed = sum(int(check.get("points", 0)) for check in checks.values())
    rows = makers(report.metas)
    facts = [
        ["this run", escape(report.program)],
        ["scans", f"{len(report.finished)}, {points} points" + (" (coarse run)" if report.quick else "")],
        ["of them used again from an earlier run", str(reused)],
        ["self-checks", f"{recomputed} points recomputed independently, worst {float(checks[worst].get('worst', 0.0)):.1e} ({escape(worst)})"],
        ["largest process", f"{report.peak_memory:.2f} GiB"],
        *([stage, f"{seconds:.1f} s"] for stage, seconds in report.seconds.items()),
    ]
    several = "" if len(rows) == 1 else f"<p>{mark(False, 'The scans come from different programs or machines')}; --restart computes all anew.</p>"
    made = table(["program of the scans", "machine", "scans", "first began", "last began"], rows)
    slowest = sorted(report.finished, key=lambda finished: finished.seconds, reverse=True)[:8]
    scans = table(
        ["longest scans", "points", "s", ""],
        [[f.scan.name, str(f.scan.points), f"{f.seconds:.1f}", "used again: as its file says" if f.reused else "with limits"] for f in slowest],
    )
    data = table(
        ["data file", "SHA-256"],
        [[escape(name), "<br>".join(f"<code>{digest}</code>" for digest in sorted(all_))] for name, all_ in sorted(report.data_sha256.items())],
    )
    changed = [name for name, all_ in report.data_sha256.items() if len(all_) > 1]
    differ = f"<p>{mark(False, 'Data files changed between the scans: ' + escape(', '.join(changed)))}</p>" if changed else ""
    return (
        "<h2>Provenance and times</h2>\n" + table(["", ""], facts) + several + made + differ + scans
        + f"<details><summary>data files</summary>{data}</details>"
    )


def summary(report: Report) -> str:
    off = [f"{row.paper.parameter} ({row.paper.experiment})" for row in report.rows if row.verdict != "ok"]
    worst = max(report.grids, key=lambda key: difference(report.grids[key], report.numbers.limits[key[0]][key[1]]))
    agreement = difference(report.grids[worst], report.numbers.limits[worst[0]][worst[1]])
    verdicts = [statement.verdict for statement in report.statements]
    counted = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(("confirmed", "partly", "contradicted", "not tested")) if v in verdicts)
    disputed = "".join(f"<li>{s.text} {mark(False, s.verdict)}</li>" for s in report.statements if s.verdict in ("partly", "contradicted"))
    limits = (
        mark(True, f"all {len(report.rows)} printed limits are met within {100 * TOLERANCE:g}%")
        if not off
        else mark(False, f"{len(off)} of {len(report.rows)} printed limits are off by more than {100 * TOLERANCE:g}%: {escape(', '.join(off))}")
    )
    coarse = "<p><b>Coarse run</b>: planes and cubes have fewer nodes than the figures of the full run.</p>" if report.quick else ""
    return (
        f"{coarse}<ul><li>Table I: {limits}.</li><li>Grids and root finding agree to {agreement:.1e} "
        f"({worst[1]}, {worst[0]}), {mark(agreement <= GRID_TOLERANCE, 'within' if agreement <= GRID_TOLERANCE else 'beyond')} "
        f"{100 * GRID_TOLERANCE:g}%.</li><li>Statements: {counted}.</li></ul>"
        + (f"<p>Not, or not fully, confirmed:</p><ul>{disputed}</ul>" if disputed else "")
    )


def page(report: Report) -> str:
    """The whole page."""
    sections = (
        table1_section, statements_section, figures_section, inputs_section, counts_section, agreement_section, provenance_section,
    )  # fmt: skip
    body = "\n".join(section(report) for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>arXiv:2208.06415 reproduced</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>Neutrino properties and light mediators in XENONnT and LZ: arXiv:2208.06415 reproduced</h1>\n"
        f"{summary(report)}\n{body}\n</body></html>\n"
    )
