# SPDX-License-Identifier: Apache-2.0
"""What is measured: series of runs with their median, and the figures that are made of them, each against its floor
and its aim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Series:
    """One quantity, measured several times."""

    name: str
    unit: str
    runs: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.runs)

    def told(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "median": self.median,
            "min": min(self.runs),
            "max": max(self.runs),
            "runs": self.runs,
        }


@dataclass(frozen=True)
class Target:
    """What a figure must reach. `floor` or `aim` None: there is none."""

    text: str
    unit: str
    floor: Mapping[str, float | None]
    aim: Mapping[str, float | None]
    """By store."""
    more_is_better: bool = True


def _both(value: float | None) -> dict[str, float | None]:
    return {"sqlite": value, "postgres": value}


TARGETS: Mapping[str, Target] = {
    "a": Target(
        "single POST with receipt, one process, as part of a raw-ASGI echo",
        "x",
        _both(0.20),
        {"sqlite": 0.32, "postgres": 0.30},
    ),
    "a-null": Target("the same as part of the service over no disk", "x", _both(None), _both(0.6)),
    "b": Target("the same by two processes, as part of one", "x", {"postgres": 1.0}, {"postgres": 1.2}),
    "c": Target(
        "the same at one connection, p50 over the store's own one-row commit", "x", _both(3), _both(2), False
    ),
    "d": Target(
        "events in batches with receipts, as part of bulk load",
        "x",
        {"sqlite": 0.12, "postgres": 0.20},
        _both(None),
    ),
    "d-null": Target("the same as part of the service over no disk", "x", _both(None), _both(0.5)),
    "e": Target("inclusion proofs as part of an echo of the same size", "x", _both(0.4), _both(0.7)),
    "e-larger": Target("inclusion proofs of the larger log over those of the smaller", "x", _both(0.85), _both(None)),
    "f": Target("memory that the entries add", "MB", _both(20), _both(5), False),
    "g": Target("what the entries add from start to the first receipt", "s", _both(0.5), _both(0.1), False),
    "h": Target("self-check by one process", "entries/s", _both(100_000), _both(None)),
    "h-two": Target("self-check by two processes", "entries/s", _both(None), _both(200_000)),
    "i-rest": Target("bytes at rest as part of the event as sent", "x", _both(3.0), _both(2.6), False),
    "i-written": Target(
        "bytes written at 32 events a commit, as part of the event as sent",
        "x",
        {"sqlite": 16, "postgres": 8},
        _both(None),
        False,
    ),
    "j": Target("receipts under one checkpoint by two processes", "receipts/s", _both(None), _both(30_000)),
    "j-limit": Target("receipts by one process, as part of parsing and hashing alone", "x", _both(None), _both(None)),
    "k": Target("fresh signatures by one key, as part of cryptography's", "x", _both(0.5), _both(None)),
    "l": Target("a receipt from a cold start of the single file", "s", _both(None), _both(0.15), False),
    "m": Target("an export's proof by one process: digest, leaves and tree", "s", _both(5), _both(3), False),
    "n": Target("the whole export by one process", "s", _both(12), _both(7), False),
    "o": Target("memory for that", "MB", _both(100), _both(None), False),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value and how it stands to its target."""

    name: str
    value: float
    store: str

    @property
    def target(self) -> Target:
        return TARGETS[self.name]

    @property
    def floor(self) -> float | None:
        return self.target.floor.get(self.store)

    @property
    def aim(self) -> float | None:
        return self.target.aim.get(self.store)

    def reaches(self, bound: float | None) -> bool | None:
        if bound is None:
            return None
        return self.value >= bound if self.target.more_is_better else self.value <= bound

    def told(self) -> dict[str, Any]:
        return {
            "figure": self.name,
            "text": self.target.text,
            "value": self.value,
            "unit": self.target.unit,
            "floor": self.floor,
            "aim": self.aim,
            "reaches_floor": self.reaches(self.floor),
            "reaches_aim": self.reaches(self.aim),
        }


@dataclass
class Outcome:
    """Result of a benchmark: what was measured, what follows from it, and remarks for the reader.

    A series is named `subject/aspect`, e.g. `service/p50`.
    """

    series: dict[str, Series] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, value: float) -> None:
        """One more run of a quantity."""
        series = self.series.setdefault(name, Series(name, unit))
        assert series.unit == unit, f"{name} was measured in {series.unit}"
        series.runs.append(value)

    def median(self, name: str) -> float:
        return self.series[name].median

    def ratio(self, name: str, above: str, below: str, store: str) -> None:
        """A figure that is one median over another, where both were measured."""
        if above in self.series and below in self.series:
            self.figures.append(Figure(name, self.median(above) / self.median(below), store))

    def told(self) -> dict[str, Any]:
        return {
            "measured": {name: series.told() for name, series in self.series.items()},
            "figures": [figure.told() for figure in self.figures],
            "remarks": self.remarks,
        }


ASPECTS = ("p50", "p99", "cost", "cores", "memory", "load cores")
"""What is known of a server under load besides its rate; each is a column of the table."""


def table(outcome: Outcome) -> str:
    """What was measured and the figures, for people: medians, for rates with the least and the most."""
    columns = ("p50 ms", "p99 ms", "us CPU each", "cores", "MB", "load's cores")
    rows: list[tuple[str, ...]] = [("measured", "median", "least", "most", "unit", *columns)]
    for name, series in outcome.series.items():
        subject, _, aspect = name.partition("/")
        if aspect not in ASPECTS:
            values = (number(value) for value in (series.median, min(series.runs), max(series.runs)))
            known = [outcome.series.get(f"{subject}/{other}") if aspect == "rate" else None for other in ASPECTS]
            beside = ("" if other is None else number(other.median) for other in known)
            rows.append((subject if aspect == "rate" else name.replace("/", " "), *values, series.unit, *beside))
    lines = _aligned(rows)
    if outcome.figures:
        rows = [("figure", "value", "floor", "aim", "unit")]
        for figure in outcome.figures:
            bounds = (_bound(figure, bound) for bound in (figure.floor, figure.aim))
            rows.append((f"({figure.name}) {figure.target.text}", number(figure.value), *bounds, figure.target.unit))
        lines += ["", *_aligned(rows)]
    return "\n".join([*lines, *(f"note: {remark}" for remark in outcome.remarks)])


def number(value: float) -> str:
    """Three digits that count, more where there are more before the point."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3f}"


def _bound(figure: Figure, bound: float | None) -> str:
    if bound is None:
        return "-"
    return number(bound) + (" +" if figure.reaches(bound) else " miss")


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]
