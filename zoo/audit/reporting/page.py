"""A report as one page: the verdict, a section for each question, every number beside what was expected of it."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Figure, Finding, Statistic
from zoo.audit.findings.report import ReportData
from zoo.audit.reporting.markdown import flat
from zoo.rendering.html import Html, figure, page, paragraph, table

WIDTH, HEIGHT, EDGE = 240, 30, 10  # of the small picture beside a number
LOGARITHMIC_FROM = 30  # when the largest value in it is so many times the smallest

STYLE = Path(__file__).with_name("page.css")

THEME = Html(
    '<fieldset class="theme"><legend>Colours</legend>'
    + "".join(
        f'<label><input type="radio" name="theme" id="{name}"{" checked" if name == "auto" else ""}>'
        f"<span>{name}</span></label>"
        for name in ("auto", "light", "dark")
    )
    + "</fieldset>"
)


def report_page(report: ReportData) -> str:
    """The text of `report.html`: one file, no script, nothing fetched."""
    blocks = [
        THEME,
        _verdict(report),
        _index(report),
        _legend(),
        *(_section(finding) for finding in report.findings),
        Html("<section><h2>How it was measured</h2>"),
        _facts(report.about),
        Html("</section>"),
    ]
    return page(f"Audit of {report.subject}", blocks, style=STYLE.read_text(encoding="utf-8"))


def _verdict(report: ReportData) -> Html:
    tone = "passed" if report.verdict == ("healthy",) else "alarm" if report.verdict else "note"
    healthy = f"<p>{escape(formatting.HEALTHY_MEANS)}</p>" if tone == "passed" else ""
    return Html(
        f'<div class="verdict is-{tone}"><p class="word">{escape(formatting.verdict_heading(report.verdict))}</p>'
        f"<p>{escape(report.summary)}</p>{healthy}</div>"
    )


def _index(report: ReportData) -> Html:
    rows = "".join(
        f'<li class="is-{f.status}"><a href="#{escape(f.name)}"><span class="sign" aria-hidden="true">'
        f'{formatting.STATUS_SIGNS[f.status]}</span><span class="asks">{escape(f.question)}</span>'
        f'<span class="state">{formatting.STATUS_LABELS[f.status]}</span></a></li>'
        for f in report.findings
    )
    return Html(f'<nav aria-label="Questions"><ul class="index">{rows}</ul></nav>')


def _legend() -> Html:
    dot = (
        '<svg viewBox="0 0 48 16" aria-hidden="true"><path class="whisker" d="M6 8H42"/>'
        '<circle class="dot" cx="24" cy="8" r="5"/></svg>'
    )
    band = (
        '<svg viewBox="0 0 48 16" aria-hidden="true"><rect class="band" x="4" y="2" width="40" height="12" rx="2"/>'
        '<path class="expected" d="M24 2V14"/></svg>'
    )
    return Html(
        f'<p class="legend"><span>{dot}measured, with its 95 % interval</span><span>{band}expected: the same number '
        "where real held-out images pose as the generator, or by theory</span></p>"
    )


def _section(finding: Finding) -> Html:
    name = escape(finding.name)
    parts = [
        f'<section id="{name}" class="is-{finding.status}" aria-labelledby="{name}-asks"><h2 id="{name}-asks">'
        f'{escape(finding.question)} <span class="badge">{formatting.STATUS_LABELS[finding.status]}</span></h2>',
        f'<p class="answer">{escape(finding.answer)}</p>',
    ]
    parts += [
        f'<p><span class="bad">{escape(flag)}</span>: {escape(reason)}</p>' for flag, reason in finding.flags.items()
    ]
    if finding.statistics:
        parts.append(f'<ul class="numbers">{"".join(_number(s) for s in finding.statistics)}</ul>')
    if finding.figures:
        parts.append(f'<div class="figures">{"".join(_figure(f) for f in finding.figures)}</div>')
    if finding.protocol:
        parts.append(f"<details><summary>Protocol</summary>{_facts(finding.protocol)}</details>")
    return Html("\n".join([*parts, "</section>"]))


def _number(s: Statistic) -> str:
    says = s.description + (f"{'; ' if s.description else ''}n\u00a0=\u00a0{s.n:,}" if s.n is not None else "")
    ends, null = formatting.interval(s.low, s.high), formatting.expected(s)
    against = _picture(s) + (f"<small>expected {escape(null)}</small>" if null else "")
    return (
        f'<li{" class=rings" if s.alarm else ""}><div><span class="name">{escape(s.name)}</span>'
        f'<small>{escape(says)}</small></div><div class="value"><b>{escape(formatting.number(s.value, s.unit))}</b>'
        f'<small>{escape(ends)}</small></div><div class="against">{against}</div></li>'
    )


def _picture(s: Statistic) -> str:
    """A number's place beside its null's range, on a scale of its own; empty where there is nothing beside it."""
    ends = [s.value, s.low, s.high, s.null, s.null_low, s.null_high]
    known = [float(v) for v in ends if v is not None and math.isfinite(v)]
    if not math.isfinite(s.value) or s.null is None or max(known) == min(known):
        return ""
    logarithmic = min(known) > 0 and max(known) / min(known) >= LOGARITHMIC_FROM
    least, span = (f(known) if not logarithmic else math.log(f(known)) for f in (min, max))
    span -= least

    def at(value: float) -> float:
        if math.isinf(value):
            return WIDTH if value > 0 else 0
        place = ((math.log(value) if logarithmic else value) - least) / span
        return round(EDGE + place * (WIDTH - 2 * EDGE), 1)

    middle = HEIGHT / 2
    marks = [f'<path class="axis" d="M0 {middle}H{WIDTH}"/>']
    if s.null_low is not None and s.null_high is not None:
        left, right = at(s.null_low), at(s.null_high)
        wide = max(3.0, right - left)
        marks.append(f'<rect class="band" x="{left}" y="5" width="{wide:.1f}" height="{HEIGHT - 10}" rx="3"/>')
    if math.isfinite(s.null):
        marks.append(f'<path class="expected" d="M{at(s.null)} 4V{HEIGHT - 4}"/>')
    if s.low is not None and s.high is not None:
        marks.append(f'<path class="whisker" d="M{at(s.low)} {middle}H{at(s.high)}"/>')
    marks.append(f'<circle class="dot" cx="{at(s.value)}" cy="{middle}" r="5.5"/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(marks)}</svg>'


def _figure(shown: Figure) -> str:
    kind = "plot" if shown.plot else "images"
    return f'<div class="{kind}">{figure(shown.png, shown.caption)}</div>'


def _facts(facts: dict[str, object]) -> Html:
    rows = flat(facts)
    return table(["setting", "value"], rows) if rows else paragraph("nothing was recorded", "note")
