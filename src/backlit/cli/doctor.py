"""`backlit doctor`: what is wrong with a run, or with the trainings of a script, and what mends it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, DataError
from ..explain.changes import copied
from ..explain.diagnosis import Diagnosis, examined
from ..explain.flow import flow_of
from ..explain.plain import WIDTH
from ..explain.record import record_of
from ..explain.rules import judged
from ..explain.tape import tape_of
from ..explain.verdict import Experiment
from ..graph.tensor import Tensor
from ..train import Trainer
from ..train.networks import network
from ..train.run_folder import CONFIG, RunFolder
from .arguments import positive
from .datasets import dataset
from .settings import optimizer
from .subject import last_backward, run_script
from .train import loaders

#: Of a script so many trainings are looked at, the last ones.
TRAININGS = 3


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "doctor",
        help="say what is wrong with a run or a script, and what mends it",
        description="Of a run: read what was logged and watched, train its network anew for some steps on a copy, and "
        "say what is wrong, by which figures, and what mends it: each mend is tried. Of a script: run it, and do the "
        "same for each of its trainings; of one with a loop of its own, tell how the gradient of its last backward() "
        "flows. Exit code 0: nothing was found; 3: something was.",
    )
    command.add_argument(
        "what", nargs="?", metavar="RUN|SCRIPT.py", help="a run folder, by default the newest in --in; or a script"
    )
    command.add_argument(
        "--in", dest="parent", type=Path, default=Path("runs"), metavar="DIR", help="where runs are (%(default)s)"
    )
    command.add_argument("--steps", type=positive(int), default=200, metavar="N", help="of the trial (%(default)s)")
    command.add_argument("--no-try", dest="tries", action="store_false", help="name mends, but do not try them")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Look, and report."""
    if options.steps < 10:
        raise ArgumentError(f"--steps must be at least 10, to see where the loss goes; got {options.steps}.")
    what = options.what
    if what is not None and what.endswith(".py"):
        found = _script(Path(what), options)
    else:
        found = _run(_folder(what, options.parent), options)
    return 3 if found else 0


def _folder(what: str | None, parent: Path) -> RunFolder:
    if what is None:
        runs = sorted((p.parent for p in parent.glob(f"*/{CONFIG}")), key=lambda p: p.stat().st_mtime)
        if not runs:
            raise DataError(f"There are no runs in {parent}; backlit train makes one, or name a RUN or SCRIPT.py.")
        return RunFolder(runs[-1])
    path = Path(what)
    found = path if path.exists() else parent / what
    if not found.exists():
        raise DataError(f"{what}: there is no such run, neither here nor in {parent}; backlit runs lists those in it.")
    return RunFolder(found)


def _run(folder: RunFolder, options: argparse.Namespace) -> bool:
    """Report of a run; was anything found?"""
    config = folder.config
    found = config["settings"]
    print(shorten(f"{folder.path}: {config['model']}", WIDTH, placeholder=" …"))
    history = folder.history()
    if history:
        columns = [c for c in ("loss", "validation_loss", "validation_accuracy") if c in history[0]]
        courses = (f"{c.replace('_', ' ')} {history[0][c]:.4g} → {history[-1][c]:.4g}" for c in columns)
        print(f"{len(history)} epochs: {', '.join(courses)}")
    else:
        print("Not one epoch was finished.")
    broke = (folder.path / "nonfinite.txt").is_file()
    if broke:
        print("\n" + (folder.path / "nonfinite.txt").read_text("utf-8").rstrip())
    diagnosis: Diagnosis | None = None
    if "model" in found:
        print(f"\nFrom the start, {options.steps} steps on a copy:\n", flush=True)
        diagnosis = examined(_again(config), options.steps, options.tries)
        print(diagnosis)
    else:
        print("\nIts model was made by a script, which can be looked at too: backlit doctor SCRIPT.py")
    verdicts = diagnosis.verdicts if diagnosis is not None else ()
    known = {(v.fault, v.layer) for v in verdicts}
    record = record_of(folder.path)
    seen = [] if record is None else [v for v in judged(record.findings) if (v.fault, v.layer) not in known]
    if record is not None:
        nothing = "nothing else" if diagnosis is not None or broke else "nothing that is looked for"
        looks = "one look" if len(record.looks) == 1 else f"{len(record.looks)} looks"
        print(f"\nWhile it trained, in {looks}:" + ("" if seen else f" {nothing}."))
    for v in seen:
        where = f" in {v.layer}" if v.layer else ""
        follows = f" (follows from {v.because})" if v.because else ""
        print(fill(f"  {v.fault}{where}{follows}: {v.evidence}.", WIDTH, subsequent_indent="    "))
    return bool(verdicts or seen or broke)


def _again(config: dict[str, Any]) -> Experiment:
    """The training of a run, as it began."""
    found = config["settings"]
    data = dataset(found)
    training, validation = loaders(data, found)
    model = network(found["model"], data)
    model.build(*(a[:1] for a in training.arrays[:-1]), key=found["seed"])
    return Experiment(
        model, config["loss"], optimizer(found), tuple(training.arrays), tuple(validation.arrays), found["batch_size"],
        found["seed"],
    )  # fmt: skip


def _script(path: Path, options: argparse.Namespace) -> bool:
    """Report of a script; was anything found?"""
    if not path.is_file():
        raise DataError(f"{path}: there is no such script.")
    with last_backward() as seen, _trainings() as trainings:
        variables = run_script(path)
    if trainings:
        sick = False
        for number, experiment in list(enumerate(trainings, 1))[-TRAININGS:]:
            sick = _told(experiment, number, len(trainings), options) or sick
        return sick
    if not seen:
        raise ArgumentError(f"{path}: the script neither called fit() nor backward(): there is no training to look at.")
    return _loop(seen[0], {k: v for k, v in variables.items() if not k.startswith("_")}, path)


def _told(experiment: Experiment, number: int, many: int, options: argparse.Namespace) -> bool:
    which = f"training {number} of {many}" if many > 1 else "the training"
    print(f"\nOf {which}, {experiment.model!r}, from its start, {options.steps} steps on a copy:\n", flush=True)
    diagnosis: Diagnosis = examined(experiment, options.steps, options.tries)
    print(diagnosis)
    return not diagnosis.healthy


def _loop(y: Tensor, variables: dict[str, Any], path: Path) -> bool:
    """Report on the graph of the last `backward()` of a loop that the script has itself."""
    tape = tape_of(y, names=variables)
    flow = flow_of(tape)
    print(f"\nThe gradient of the last backward() of {path.name}, on its way back:\n\n{flow}\n")
    sick = bool(flow.sentences(1e3))
    for leaf in tape.leaves:
        g = tape.cotangents.get(leaf)
        size = float(np.linalg.norm(np.asarray(g))) if g is not None else float("nan")
        own = float(np.linalg.norm(np.asarray(leaf.value)))
        note = (
            "no gradient" if g is None else "no finite number" if not np.isfinite(size) else "zero" if not size else ""
        )
        sick = sick or bool(note)
        print(f"{tape.name(leaf)}: norm {own:.3g}, gradient {size:.3g}{f'  ← {note}' if note else ''}")
    return sick


@contextmanager
def _trainings() -> Iterator[list[Experiment]]:
    """The trainings that begin within, as they began."""
    found: list[Experiment] = []
    fit = Trainer.fit

    def noting(self: Trainer, data: Any, epochs: int, validation: Any = None) -> Any:
        model = copied(self.model)
        history = fit(self, data, epochs, validation)
        arrays = tuple(data.arrays[:-1] if self.weighted else data.arrays)
        held = None if validation is None else tuple(validation.arrays[: len(arrays)])
        found.append(Experiment(model, self._asked[0], self.optimizer, arrays, held, data.batch_size, self.seed))
        return history

    Trainer.fit = noting
    try:
        yield found
    finally:
        Trainer.fit = fit
