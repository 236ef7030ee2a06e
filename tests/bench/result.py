"""What a benchmark hands back, and how a set of results is shown and stored."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Result:
    """One measured figure.

    :ivar unit: of the value, the samples and the medians: "ms", "s", "MiB", "%", "1/s".
    :ivar ratio: for a comparison, our median divided by the other's; it has no unit.
    :ivar value: for a figure that stands alone.
    :ivar target: the ratio or value may be this much at most; None for a figure that only informs.
    :ivar samples: every measurement, by what was measured, in the order in which it was taken.
    :ivar compared_with: what stands on the other side of the ratio, or what the value is held against.
    :ivar how: how it was measured, for a reader who doubts it.
    :ivar skipped: why nothing was measured.
    :ivar failed: what went wrong while measuring.
    """

    name: str
    unit: str = ""
    ratio: float | None = None
    value: float | None = None
    target: float | None = None
    met: bool | None = None
    samples: Samples = field(default_factory=dict)
    medians: Mapping[str, float] = field(default_factory=dict)
    compared_with: str = ""
    how: str = ""
    skipped: str | None = None
    failed: str | None = None


def medians(samples: Samples) -> dict[str, float]:
    """The median of each series that has samples."""
    return {name: statistics.median(series) for name, series in samples.items() if series}


def ratio(
    name: str,
    samples: Samples,
    *,
    ours: str,
    theirs: str,
    unit: str,
    target: float | None,
    compared_with: str,
    how: str = "",
) -> Result:
    """Our median divided by theirs. Both series were taken in turns, so that noise meets both alike."""
    middle = medians(samples)
    quotient = middle[ours] / middle[theirs]
    return Result(
        name,
        unit,
        ratio=quotient,
        target=target,
        met=_met(quotient, target),
        samples=samples,
        medians=middle,
        compared_with=compared_with,
        how=how,
    )


def spread(
    name: str, samples: Samples, *, unit: str, target: float | None, compared_with: str, how: str = ""
) -> Result:
    """The largest median divided by the smallest: how much a figure depends on what differs between the series."""
    middle = medians(samples)
    by_size = sorted(middle, key=middle.__getitem__)
    return ratio(
        name,
        samples,
        ours=by_size[-1],
        theirs=by_size[0],
        unit=unit,
        target=target,
        compared_with=compared_with,
        how=how,
    )


def value(
    name: str, figure: float, samples: Samples, *, unit: str, target: float | None, compared_with: str, how: str = ""
) -> Result:
    """A figure that stands alone."""
    return Result(
        name,
        unit,
        value=figure,
        target=target,
        met=_met(figure, target),
        samples=samples,
        medians=medians(samples),
        compared_with=compared_with,
        how=how,
    )


def skipped(name: str, reason: str) -> Result:
    """Nothing was measured, and why."""
    return Result(name, skipped=reason)


def failed(name: str, reason: str) -> Result:
    """Measuring went wrong."""
    return Result(name, failed=reason)


def _met(figure: float, target: float | None) -> bool | None:
    return None if target is None else figure <= target


def save(path: Path, results: Sequence[Result], machine: Mapping[str, Any]) -> None:
    """Write everything as JSON: the machine's facts and the results. :raise OSError: the file cannot be written."""
    content = {"machine": dict(machine), "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def table(results: Sequence[Result]) -> str:
    """The results for people: a line each, then the medians and what they were compared with."""
    rows = [("benchmark", "result", "target", "", "samples")]
    rows += [(r.name, figure(r), _target(r), verdict(r), _counts(r)) for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for result in results:
        lines += ["", *_details(result)]
    return "\n".join(lines)


def figure(result: Result) -> str:
    """The ratio or value in words."""
    if result.ratio is not None:
        return f"{result.ratio:.3g} x"
    if result.value is not None:
        return f"{_short(result.value)} {result.unit}"
    return "-"


def verdict(result: Result) -> str:
    """One word on whether the target was met."""
    if result.failed is not None:
        return "FAILED"
    if result.skipped is not None:
        return "skipped"
    return {True: "met", False: "MISSED", None: "informs"}[result.met]


def _target(result: Result) -> str:
    if result.target is None:
        return "-"
    return f"<= {result.target:g} {'x' if result.ratio is not None else result.unit}"


def _counts(result: Result) -> str:
    counts = sorted({len(series) for series in result.samples.values()})
    return "-" if not counts else "..".join(map(str, counts[:1] + counts[1:][-1:]))


def _details(result: Result) -> list[str]:
    lines = [result.name]
    for label, text in (("failed", result.failed), ("skipped", result.skipped)):
        if text is not None:
            lines.append(f"  {label}: {text}")
    if result.medians:
        told = ", ".join(f"{name} {_short(middle)}" for name, middle in result.medians.items())
        lines.append(f"  medians ({result.unit}): {told}")
    if result.compared_with:
        lines.append(f"  compared with: {result.compared_with}")
    if result.how:
        lines.append(f"  how: {result.how}")
    return lines


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
