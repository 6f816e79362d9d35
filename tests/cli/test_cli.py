"""The command `backlit`, mostly as a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from backlit.cli import main

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

COMMAND = [sys.executable, "-m", "backlit"]
FILES = {
    "params.safetensors", "checkpoints", "config.json", "log.csv", "watch.json", "test.json", "curves.png",
    "confusion.png",
    "misread.png", "report.md",
}  # fmt: skip


def backlit(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_help_names_the_commands():
    done = backlit("--help")
    assert done.returncode == 0
    for command in ("train", "gallery", "info"):
        assert re.search(rf"^ +{command} +\w", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(["trian"], "train"), (["gallery", "xro"], "xor"), (["train", "--data", "mnits"], "mnist"),
     (["train", "--epoch-count=3"], "--epochs")],
)  # fmt: skip
def test_a_wrong_name_suggests_the_nearest(arguments, near, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert f"Did you mean {near}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["train", "--epochs", "0"], ["train", "--lr", "inf"], ["train", "--seed", "x"]]
)
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "See backlit" in capsys.readouterr().err


def test_info_tells_versions(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    assert main(["info"]) == 0
    told = capsys.readouterr().out
    assert f"numpy          {np.__version__}" in told
    assert "default_dtype  float32" in told
    assert re.search(r"^plans kept     \d+, [\d.]+ of \d+ MB$", told, re.MULTILINE)
    assert re.search(r"^native code    (for \S+, vectors of \d\d bytes, \d+ threads|no: )", told, re.MULTILINE)


def test_gallery_lists_and_runs(tmp_path, capsys):
    assert main(["gallery"]) == 0
    assert "himmelblau" in capsys.readouterr().out
    assert main(["gallery", "neuron", "--quick", "--out", str(tmp_path)]) == 0
    assert "∂f/∂w = 0.25, ∂f/∂b = 0.25" in capsys.readouterr().out
    assert (tmp_path / "neuron.png").exists()


def test_training_leaves_a_complete_run_folder(tmp_path):
    done = backlit("train", "--epochs", 3, "--seed", 7, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 3
    for line in lines:
        assert re.match(
            r"epoch \d/3  loss [\d.]+  accuracy [\d.]+  val loss [\d.]+  val accuracy [\d.]+  [\d,]+ samples/s$", line
        )
    (folder,) = tmp_path.iterdir()
    assert re.fullmatch(r"digits-mlp-\d{8}-\d{6}", folder.name)
    assert {p.name for p in folder.iterdir()} == FILES
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"] | {"data": "digits", "epochs": 3, "optim.lr": 1e-3, "seed": 7} == config["settings"]
    assert len(config["data"]["sha256"]) == 64
    assert config["versions"]["numpy"] == np.__version__
    with open(folder / "log.csv") as file:
        log = list(csv.DictReader(file))
    assert [row["epoch"] for row in log] == ["1", "2", "3"]
    accuracy = re.search(r"Test accuracy ([\d.]+) %", done.stdout)[1]
    assert f"Test accuracy {accuracy} %" in (folder / "report.md").read_text()
    for name in ("curves", "confusion", "misread"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child process on Windows")
def test_an_interrupt_saves_and_says_so(tmp_path):
    arguments = ["train", "--epochs", "100000", "--out", str(tmp_path)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch"):
        assert process.poll() is None
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped by Ctrl-C after" in told
    (folder,) = tmp_path.iterdir()
    assert {p.name for p in folder.iterdir()} == FILES
    assert "Stopped by Ctrl-C" in (folder / "report.md").read_text()
    assert f"Go on with: backlit train --resume {folder}" in told


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(tmp_path):
    arguments = ["train", "--epochs", "6", "--seed", "3", "--set", "checkpoints.every=5", "--set", "patience=4"]
    assert backlit(*arguments, "--out", tmp_path / "whole").returncode == 0
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--out", str(tmp_path / "cut")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch 2"):
        assert process.poll() is None
    process.kill()
    process.communicate()
    ((whole,), (cut,)) = ([*(tmp_path / name).iterdir()] for name in ("whole", "cut"))
    done = backlit("train", "--resume", cut)
    assert done.returncode == 0, done.stderr
    assert "Going on from the newest checkpoint" in done.stdout
    assert (cut / "params.safetensors").read_bytes() == (whole / "params.safetensors").read_bytes()
    assert "Leave it out" in backlit("train", "--resume", cut, "--lr", "1").stderr
    assert "epoch 7/7" in backlit("train", "--resume", cut, "--epochs", "7").stdout
    assert json.loads((cut / "config.json").read_text())["settings"]["epochs"] == 7
    (cut / "log.csv").write_text("".join((cut / "log.csv").read_text().splitlines(keepends=True)[:7]))
    assert [row.split(",")[:6] for row in (cut / "log.csv").read_text().splitlines()] == [
        row.split(",")[:6] for row in (whole / "log.csv").read_text().splitlines()
    ]


def test_settings_come_from_a_file_and_are_checked(tmp_path, capsys):
    (tmp_path / "run.toml").write_text('epochs = 1\nmodel = "net.py:Net"\n[optim]\nname = "sgd"\nmomentum = 0.9\n')
    (tmp_path / "net.py").write_text(
        "from backlit import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Standardize(5, 6), nn.Flatten(), nn.Dense(10))\n"
    )
    arguments = ["train", "--config", "run.toml", "--set", "optim.lr=0.05", "--out", "runs"]
    done = backlit(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    found = json.loads((folder / "config.json").read_text())["settings"]
    assert (found["optim.momentum"], found["optim.lr"], found["epochs"]) == (0.9, 0.05, 1)
    assert found["model"] == f"{tmp_path / 'net.py'}:Net"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--set", "optim.lrr=1"], "there is no setting 'optim.lrr'; did you mean 'optim.lr'?"),
        (["--set", "optim.lr"], "expected NAME=VALUE"),
        (["--set", "epochs=2.5"], "epochs: expected a whole number of 1 or more, got 2.5"),
        (["--optimizer", "adma"], "did you mean 'adam'?"),
        (["--model", "mpl"], "Did you mean 'mlp'?"),
        (["--model", "lstm"], "lstm: expected a text"),
        (["--model", "none.py:Net"], "none.py: there is no such file"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["--resume", "."], "not a run folder"),
        (["--optimizer", "sgd", "--set", "optim.betas=1"], "there is no setting 'optim.betas'"),
    ],
)
def test_wrong_settings_are_named(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_numbers_that_make_no_sense_are_named(capsys):
    for arguments, told in [
        (["train", "--lr", "-1"], "argument --lr: expected a number greater than 0, got '-1'"),
        (["train", "--epochs", "1.5"], "argument --epochs: expected a whole number greater than 0, got '1.5'"),
        (["draw"], "the following arguments are required: EXPRESSION|RUN|SCRIPT.py[:NAME]\n"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert told in capsys.readouterr().err


def test_without_an_extra_it_says_what_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    done = backlit("train", env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 1
    assert 'pip install "backlit[train]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_network_mnist_says_what_to_do(tmp_path):
    pytest.importorskip("pooch")
    hidden = {**os.environ, "BACKLIT_CACHE": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    hidden.pop("BACKLIT_DATA", None)
    done = backlit("train", "--data", "mnist", env=hidden, cwd=tmp_path)
    assert done.returncode == 1
    assert "set BACKLIT_DATA" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    parent = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        assert main(["train", "--epochs", "4", "--lr", "0.005", "--seed", str(seed), "--out", str(parent)]) == 0
    return sorted(parent.iterdir())


def test_runs_are_listed_and_compared(runs, capsys, tmp_path):
    assert main(["runs", "--in", str(runs[0].parent)]) == 0
    told = capsys.readouterr().out
    assert all(run.name in told for run in runs)
    assert main(["runs", *map(str, runs), "--picture", str(tmp_path / "both.png")]) == 0
    assert re.search(r"run +data +model .* seed$", capsys.readouterr().out, re.MULTILINE)
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert main(["runs", "--in", str(tmp_path)]) == 0
    assert "There are no runs" in capsys.readouterr().out


def test_a_trained_network_is_measured_and_reads_pictures(runs, capsys, tmp_path):
    pil = pytest.importorskip("PIL.Image")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    assert main(["evaluate", str(runs[0])]) == 0
    accuracy = json.loads((runs[0] / "test.json").read_text())["accuracy"]
    assert f"accuracy {accuracy:.4f}" in capsys.readouterr().out
    paths = []
    for i in range(10):  # dark on light, and larger than the network's input
        paths.append(tmp_path / f"{i}.png")
        grey = (255 - digits.images[i] * 15.9).astype(np.uint8)
        pil.fromarray(grey).resize((80, 80), pil.Resampling.NEAREST).save(paths[-1])
    assert main(["predict", str(runs[0]), *map(str, paths)]) == 0
    said = [line.split(": ")[1][0] for line in capsys.readouterr().out.splitlines()]
    assert sum(s == str(i) for i, s in enumerate(said)) >= 8
    (tmp_path / "no.png").write_text("no picture")
    assert main(["predict", str(runs[0]), str(tmp_path / "no.png")]) == 1
    assert "not a picture that can be read" in capsys.readouterr().err


def test_a_network_of_characters_goes_on_with_a_text(tmp_path, capsys):
    (tmp_path / "poem.txt").write_text("to be or not to be, that is the question. " * 60)
    arguments = ["train", "--data", str(tmp_path / "poem.txt"), "--model", "lstm", "--epochs", "12", "--lr", "0.02"]
    assert main([*arguments, "--set", "data.window=16", "--batch-size", "16", "--out", str(tmp_path / "runs")]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()
    assert main(["predict", str(run), "--text", "to be", "--length", "30", "--temperature", "0.1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("to be or not")
    assert main(["predict", str(run), "--text", "ZZ"]) == 1
    assert "has never seen 'Z'" in capsys.readouterr().err


def test_a_table_is_learned_from_its_path(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "animals.csv").write_text("legs,colour,kind\n" + "2,red,bird\n4,gray,cat\n" * 40)
    (tmp_path / "run.toml").write_text('epochs = 6\n[data]\nname = "animals.csv"\nwords = "one-hot"\n')
    assert main(["train", "--config", "run.toml", "--target", "kind", "--lr", "0.01"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("animals-mlp")
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert settings["data"] == str(tmp_path / "animals.csv")
    assert (settings["data.target"], settings["data.words"]) == ("kind", "one-hot")
    capsys.readouterr()
    monkeypatch.chdir("/")
    assert main(["evaluate", str(run)]) == 0
    assert "accuracy 1.0000" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--data", "animals.csv"]) == 1
    assert "name the column to be predicted" in capsys.readouterr().err
    assert main(["train", "--data", "digits", "--set", "data.windows=3"]) == 1
    assert "digits takes no option 'windows'" in capsys.readouterr().err
    assert main(["summary", "mlp", "--data", "animals.csv", "--target", "legs"]) == 1
    assert "row 1, column 'colour': expected a number" in capsys.readouterr().err


def test_regression_learns_in_the_unit_of_its_targets(tmp_path, capsys):
    assert main(["train", "--data", "diabetes", "--epochs", "30", "--out", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    spread = float(np.var(pytest.importorskip("sklearn.datasets").load_diabetes().target))
    tested = json.loads((run / "test.json").read_text())["loss"]
    assert tested < 0.75 * spread
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    assert f"loss {tested:.4f}" in capsys.readouterr().out
    assert main(["predict", str(run)]) == 1
    assert "is for regression of samples of shape (10,)" in capsys.readouterr().err


def test_summary(capsys):
    assert main(["summary", "cnn", "--batch", "3"]) == 0
    assert re.search(r"Conv2d\(16, 3.*\(3, 16, 8, 8\)", capsys.readouterr().out)
