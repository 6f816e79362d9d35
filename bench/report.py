"""What a run shows: a plain table for the terminal, and a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

OURS = "Backlit"
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def medians(results: dict[str, Any]) -> dict[str, float]:
    """The median of each contender that was timed."""
    return {name: r["median"] for name, r in results.items() if "median" in r}


def best_peer(results: dict[str, Any]) -> tuple[str, float] | None:
    """The fastest contender beside Backlit; where Backlit has figures from its cache, these are its own too."""
    others = {name: m for name, m in medians(results).items() if not name.startswith(OURS)}
    return min(others.items(), key=lambda item: item[1]) if others else None


def limits_of(record: dict[str, Any]) -> tuple[float, float]:
    """FLOPs and bytes a second: the best that any contender showed; 0 where none did."""
    arithmetic = memory = 0.0
    for limit in record["limits"].values():
        for seconds in (r["least"] for r in limit["results"].values() if "least" in r):
            arithmetic = max(arithmetic, limit["flops"] / seconds)
            memory = max(memory, limit["bytes"] / seconds)
    return arithmetic, memory


def share(workload: dict[str, Any], limits: tuple[float, float]) -> float | None:
    """The least time that the machine needs for this work, as a fraction of what Backlit took."""
    ours = medians(workload["results"]).get(OURS)
    floor = max(
        (n / most for n, most in zip((workload["flops"], workload["bytes"]), limits, strict=True) if most), default=0
    )
    return floor / ours if ours and floor else None


def amount(seconds: float | None, unit: str, width: int = 0) -> str:
    """A time in a unit, with three figures."""
    if seconds is None:
        return "-".rjust(width)
    value = seconds / _UNITS[unit]
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}".rjust(width)


def _times(ours: float | None, other: float | None) -> str:
    """How often as fast Backlit is."""
    return f"{other / ours:.2f}x" if ours and other else "-"


_METHOD = """
## How it is measured

- **Same work.** All start from the same parameters and data. What they compute (the losses of the first steps, or the
  result) must agree within the tolerance of the workload before anything is timed.
- **Best ordinary form.** torch with fused optimizers, channels-last images and gradients set to None; torch.compile;
  jax.jit with donated buffers and `lax.scan` or `fori_loop`; tf.function with and without XLA; NumPy by hand with its
  memory reused. The code is in `bench/`, one file for each kind of workload.
- **Same conditions.** {threads} threads for everybody. Each contender has a process of its own, and the next is timed
  when the threads of the last no longer spin. Samples are taken in turns, after calls that do not count; a sample is as
  many calls as take some hundredths of a second. Other programs kept {load:.1f} cores busy when the run began.
- **The limit** is what this machine showed in the same run: {arithmetic:.0f} GFLOP/s in the best matrix product of any
  contender, {memory:.0f} GB/s in its best triad. 'Of the limit' is the time that the arithmetic (or the memory traffic)
  of the workload needs at that speed, as a share of Backlit's time. Data that stay in the caches, and convolutions with
  fewer multiplications than their definition has, may bring it above 100 %.
- **Versions**: {versions}; Python {python}; {system}.

## Every contender

Median and quartiles; then the multiple of Backlit's time.
"""

HEADINGS = ("", "workload", "unit", OURS, "best other", "", "faster", "torch eager", "faster", "of limit", "target", "")


def rows(record: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The summary: one row for each workload, as `HEADINGS` says."""
    limits = limits_of(record)
    for key, w in record["workloads"].items():
        times, unit = medians(w["results"]), w["unit"]
        ours, best = times.get(OURS), best_peer(w["results"])
        part = share(w, limits)
        met = "-" if ours is None or w["target"] is None else "met" if ours <= w["target"] else "missed"
        yield (
            key, w["title"], unit, amount(ours, unit), amount(best and best[1], unit), best[0] if best else "-",
            _times(ours, best and best[1]), amount(times.get("torch eager"), unit),
            _times(ours, times.get("torch eager")), f"{part:.0%}" if part else "-",
            amount(w["target"], unit), met,
        )  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """The summary for a terminal."""
    lines = [HEADINGS, *rows(record)]
    lines = [(line[0], line[1][:58], *line[2:]) for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    left = (0, 1, 2, 5, 11)
    return "\n".join(
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )


def details(workload: dict[str, Any]) -> str:
    """All contenders of a workload, the fastest first: medians, quartiles, and multiples of Backlit's time."""
    unit, results = workload["unit"], workload["results"]
    ours = medians(results).get(OURS)
    lines = []
    for name, middle in sorted(medians(results).items(), key=lambda item: item[1]):
        low, high = (amount(q, unit) for q in results[name]["quartiles"])
        lines.append(
            f"  {name:<22}{amount(middle, unit, 9)} {unit}  ({low} to {high})".ljust(60)
            + (f"{middle / ours:8.2f} of ours" if ours else "")
        )
    for name, r in results.items():
        if "median" not in r:
            lines.append(
                f"  {name:<22}{'skipped' if 'skipped' in r else 'failed'}: {r.get('skipped') or r['error']}"[:200]
            )
    return "\n".join(lines)


def page(record: dict[str, Any], picture: str) -> str:
    """The page of the documentation; `picture` is the address of the chart."""
    arithmetic, memory = limits_of(record)
    machine = record["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    out = [
        "# Benchmarks", "",
        "The same work in the best ordinary form of each framework, in one run on one machine. `make bench` makes this "
        "page and its chart anew; `make bench ARGS=\"--only W4,W6\"` measures a part.", "",
        f"![Time of each framework as a multiple of Backlit's]({picture})", "",
        f"*{record['date']}, {machine['processor']}, {machine['threads']} threads, float32. Medians.*", "",
        "| | workload | Backlit | best other | faster | torch eager | faster | of the limit |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for key, title, unit, ours, best, name, ratio, torch, torch_ratio, part, _, _ in rows(record):
        best_text = f"{best} {unit} ({name})" if best != "-" else "-"
        torch_text = f"{torch} {unit}" if torch != "-" else "-"
        ours_text = f"{ours} {unit}" if ours != "-" else "-"
        out.append(
            f"| {key} | {title} | {ours_text} | {best_text} | **{ratio}** | {torch_text} | {torch_ratio} | {part} |"
        )
    out.append(
        _METHOD.format(
            threads=machine["threads"],
            arithmetic=arithmetic / 1e9,
            memory=memory / 1e9,
            versions=versions,
            python=machine["python"],
            system=machine["system"],
            load=record["load"],
        )
    )
    for key, w in [*record["workloads"].items(), *record["limits"].items()]:
        out += [f"### {key}: {w['title']}", "", "```text", details(w), "```", ""]
    return "\n".join(out)
