"""How well paths and remainder add up to the gradient on large random graphs, and the factors of a flow to its ratio:
`python tools/measure_paths.py`.

For each of some random graphs of 2,000 nodes, of scalars and of tensors, every leaf's gradient is taken apart into its
8 strongest paths and a remainder, which is computed on its own; what is printed is the largest relative error. The
log-factors of the flow to all leaves are held against the norm of all gradients, by that of the output's cotangent.
"""

from __future__ import annotations

import argparse
import sys
from math import log
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from backlit.explain.contributions import shares
from backlit.explain.flow import flow_of
from backlit.explain.paths import paths_of
from backlit.explain.tape import tape_of
from tests.explain.random_graphs import RandomGraph


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--graphs", type=int, default=20, help="of either kind (%(default)s)")
    parser.add_argument("--nodes", type=int, default=2000, help="of each (%(default)s)")
    options = parser.parse_args()
    for scalars in (True, False):
        worst = unbalanced = slowest = astray = 0.0
        count, most = 0, 0
        for seed in range(options.graphs):
            graph = RandomGraph(seed, options.nodes, scalars=scalars)
            tape = tape_of(graph, *graph.inputs)
            gradients = [np.ravel(tape.cotangents[leaf]) for leaf in tape.leaves if leaf in tape.cotangents]
            ratio = float(np.linalg.norm(np.concatenate(gradients)) / np.linalg.norm(tape.seed))
            astray = max(astray, abs(sum(f.gain for f in flow_of(tape, to=tape.leaves).factors) - log(ratio)))
            for leaf in tape.leaves:
                start = perf_counter()
                found = paths_of(tape, leaf)
                slowest = max(slowest, perf_counter() - start)
                total = sum((p.gradient for p in found.shown), start=found.remainder)
                size = float(np.linalg.norm(found.gradient))
                worst = max(worst, float(np.linalg.norm(total - found.gradient)) / (size or 1.0))
                most, count = max(most, found.number), count + 1
                into = sum(s for e, s in shares(tape, leaf).items() if e.target is tape.output)
                unbalanced = max(unbalanced, abs(into - 1) if size else 0.0)
        print(
            f"{'scalars' if scalars else 'tensors'}: {count} gradients of {options.graphs} graphs of {options.nodes} "
            f"nodes, with up to {most:.1e} paths; shown + remainder = gradient to {worst:.1e}; shares of edges add up "
            f"to 1 within {unbalanced:.1e}; the slowest took {slowest:.2f} s; log-factors of the flow to {astray:.1e}"
        )


if __name__ == "__main__":
    main()
