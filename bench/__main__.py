"""`python -m bench`: measure Backlit beside its peers, print a table, and write JSON, a page and a chart."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import peers, report, startup
from .chart import svg
from .remote import Remote
from .runner import FULL, QUICK, USUAL, Disagreement, Effort, measure, record
from .suite import limits, workloads
from .workload import THREADS, Workload


def main() -> int:
    """Run what was asked for. Returns 1 where contenders disagreed or Backlit failed."""
    options = _options()
    effort = QUICK if options.quick else FULL if options.full else USUAL
    names = _names(options.peers)
    run: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "load": load(),
        "versions": peers.versions(names),
        "effort": effort._asdict(),
        "limits": {},
        "workloads": {},
    }
    if run["load"] > 0.3:
        print(f"other programs keep {run['load']:.1f} cores busy: the figures will be worse than they could be")
    wrong = []
    remotes = {name: Remote(name) for name in names}
    try:
        wanted = [w for w in workloads() if chosen(w.key, options.only)]
        for kind, jobs in (("limits", limits() if wanted else []), ("workloads", wanted)):
            for workload in jobs:
                run[kind][workload.key] = found = _measured(workload, remotes, effort)
                print(f"\n{workload.key}: {workload.title}\n{report.details(found)}", flush=True)
                if "median" not in found["results"].get(report.OURS, {"median": 0}):
                    wrong.append(workload.key)
    finally:
        for remote in remotes.values():
            remote.stop()
    run["workloads"].update(_startup(names, effort, options.only))
    if run["limits"]:
        arithmetic, memory = report.limits_of(run)
        print(f"\nlimits: {arithmetic / 1e9:.0f} GFLOP/s, {memory / 1e9:.1f} GB/s")
    print(f"\n{report.table(run)}")
    for path in _written(run, options):
        print(f"wrote {path}")
    if wrong:
        print(f"failed: {', '.join(wrong)}", file=sys.stderr)
    return int(bool(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="workloads, such as W4,W6; all that begin so (W4 also means W4e)")
    parser.add_argument("--peers", default="", help=f"contenders beside Backlit: {', '.join(peers.PEERS)}")
    parser.add_argument("--quick", action="store_true", help="few samples, about two minutes")
    parser.add_argument("--full", action="store_true", help="more samples, and contenders that are slow to make or run")
    parser.add_argument("--out", type=Path, help="write the JSON here")
    parser.add_argument("--docs", type=Path, help="write benchmarks.md and images/benchmarks.svg into this folder")
    return parser.parse_args()


def chosen(key: str, only: str) -> bool:
    """Is this workload asked for? `W4` asks for W4, W4adam and W4e, but W1 not for W11."""
    wanted = [w for w in only.split(",") if w]
    return not wanted or any(key.startswith(w) and not key[len(w) :][:1].isdigit() for w in wanted)


def _names(asked: str) -> list[str]:
    """The contenders that take part: those asked for, or all that are installed."""
    there = peers.installed()
    wanted = [p for p in asked.split(",") if p] or there
    if unknown := [p for p in wanted if p not in peers.PEERS]:
        raise SystemExit(f"--peers: {', '.join(unknown)}: expected some of {', '.join(peers.PEERS)}")
    if missing := [p for p in wanted if p not in there]:
        raise SystemExit(f"--peers: not installed here: {', '.join(missing)}; `make bench` installs them")
    return [p for p in there if p in wanted or p == report.OURS]


def _measured(workload: Workload, remotes: dict[str, Remote], effort: Effort) -> dict[str, Any]:
    try:
        return record(workload, measure(workload, remotes, effort))
    except Disagreement as error:
        return record(workload, {report.OURS: {"error": str(error)}})


def _startup(names: Sequence[str], effort: Effort, only: str) -> dict[str, Any]:
    """W11 and W12."""
    found: dict[str, Any] = {}
    empty = {"flops": 0.0, "bytes": 0.0, "tolerance": 0.0}
    if chosen("W11", only):
        results = startup.imports(list(names), effort)
        target = results["NumPy alone"]["median"] + 0.03
        found["W11"] = {"title": "import", "unit": "ms", "target": target, "results": results, **empty}
    if chosen("W12", only):
        calls = startup.first_calls(startup.FIRST, list(names), effort)
        for key, (cold, cached) in startup.FIRST.items():
            both = calls[key]
            late = {n.removesuffix(", cached"): r for n, r in both.items() if n.endswith(", cached")}
            early = {n: r for n, r in both.items() if not n.endswith(", cached")}
            for kind, target, results in (("", cold, early), ("cached", cached, late)):
                title = f"first call of {key}, {'from the cache on disk' if kind else 'cold'}"
                found[f"W12{kind}-{key}"] = {
                    "title": title,
                    "unit": "ms",
                    "target": target,
                    "results": results,
                    **empty,
                }
    for key, w in found.items():
        print(f"\n{key}: {w['title']}\n{report.details(w)}", flush=True)
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "threads": THREADS,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def load() -> float:
    """How many cores other programs keep busy now; 0 where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0

    def ticks() -> list[int]:
        return [int(t) for t in stat.read_text().split("\n", 1)[0].split()[1:9]]

    before = ticks()
    time.sleep(1)
    spent = [b - a for a, b in zip(before, ticks(), strict=True)]
    idle = spent[3] + spent[4]
    return (1 - idle / max(sum(spent), 1)) * (os.cpu_count() or 1)


def _written(run: dict[str, Any], options: argparse.Namespace) -> list[Path]:
    """Write what was asked for."""
    files: dict[Path, str] = {}
    if options.out:
        files[options.out] = json.dumps(run, indent=1) + "\n"
    if options.docs:
        files[options.docs / "benchmarks.md"] = report.page(run, "images/benchmarks.svg")
        files[options.docs / "images" / "benchmarks.svg"] = svg(run)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(files)


if __name__ == "__main__":
    sys.exit(main())
