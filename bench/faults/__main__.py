"""`python -m bench.faults`: diagnose planted faults and healthy networks, apply the mends, and count."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from . import cnn, healthy, mlp, numbers, others, sequences
from .case import Healthy, Planted
from .judge import Alarm, Judged, alarm, figures, judge, share

PLANTED: tuple[Planted, ...] = (*mlp.CASES, *cnn.CASES, *sequences.CASES, *numbers.CASES)
HEALTHY: tuple[Healthy, ...] = tuple(healthy.CASES)


def main() -> int:
    """Run what was asked for, and print a table."""
    parser = argparse.ArgumentParser(prog="bench.faults", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name, family or fault contains this")
    parser.add_argument("--seeds", default="0", help="seeds, such as 0,1; each runs all cases")
    parser.add_argument("--others", action="store_true", help="the cases that rules and thresholds were not fitted to")
    parser.add_argument("--out", type=Path, help="write the JSON here")
    options = parser.parse_args()
    planted = others.PLANTED if options.others else PLANTED
    sound = healthy.OTHERS if options.others else HEALTHY
    runs: dict[str, Any] = {}
    for seed in map(int, options.seeds.split(",")):
        start = perf_counter()
        judged = [_shown(judge(c, seed)) for c in planted if _chosen(options.only, c.name, c.family, c.fault)]
        alarms = [_heard(alarm(c, seed)) for c in sound if _chosen(options.only, c.name, c.family, "healthy")]
        found = figures(judged, alarms)
        print(f"\nseed {seed}: {perf_counter() - start:.0f} s\n{table(judged, found)}", flush=True)
        runs[str(seed)] = {
            "figures": found, "planted": [j._asdict() for j in judged], "healthy": [a._asdict() for a in alarms],
        }  # fmt: skip
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(runs, indent=1) + "\n", "utf-8")
    return 0


def table(judged: Sequence[Judged], found: dict[str, Any]) -> str:
    """A line for each kind of fault, one for each family, then the figures of all."""
    lines = [f"{'':<24}{'cases':>6}{'right':>8}{'first':>8}{'named':>8}{'restored':>10}{'applied':>9}"]
    groups = {f: [j for j in judged if j.fault == f] for f in dict.fromkeys(j.fault for j in judged)}
    groups |= {f: [j for j in judged if j.family == f] for f in dict.fromkeys(j.family for j in judged)}
    for name, some in (groups | {"all": list(judged)}).items():
        shares = [
            share([getattr(j, part) for j in some]) for part in ("right", "first", "among", "restored", "applied")
        ]
        widths = (8, 8, 8, 10, 9)
        lines.append(f"{name:<24}{len(some):>6}" + "".join(f"{s:>{w}.0%}" for s, w in zip(shares, widths, strict=True)))
    if found["healthy"]:
        lines.append(f"false alarms: {found['false alarms']:.1%} of {found['healthy']} healthy networks")
    return "\n".join(lines)


def _chosen(only: str, *words: str) -> bool:
    return not only or any(only in word for word in words)


def _shown(j: Judged) -> Judged:
    mark = ("right" if j.right else "wrong") + (", restored" if j.restored else ", not restored")
    print(f"{j.name} [{j.fault}; {j.family}]: {mark}; {j.seconds:.1f} s\n    {' | '.join(j.verdicts) or 'nothing'}")
    course = "" if np.isnan(j.loss) else f" [{j.loss:.3g}, twin {j.twin:.3g}]"
    print(f"    {j.mend}{course}", flush=True)
    return j


def _heard(a: Alarm) -> Alarm:
    if a.verdicts:
        print(f"{a.name} [healthy; {a.family}]: FALSE ALARM {' | '.join(a.verdicts)}", flush=True)
    return a


if __name__ == "__main__":
    sys.exit(main())
