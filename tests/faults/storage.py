"""Disks that are full, files that are torn, bits that have flipped: each is named, and none is used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.faults.outcome import Outcome, check
from tests.faults.project import CELL, RESULT, RUN, Project, from_nothing

DATA = "data/processed/quick/mnist"
FLIPPED = {
    "training images": (f"{DATA}/train/train_images.npy", "train"),
    "test images": (f"{DATA}/test/images.npy", "evaluate"),
    "weights": (f"{RUN}/weights.safetensors", "evaluate"),
    "history": (f"{RUN}/history.json", "evaluate"),
    "run record": (f"{RUN}/run.json", "evaluate"),
    "result": (RESULT, "verify"),
    "logits": (RESULT.replace(".json", ".npy"), "verify"),
    "predictions": ("data/predictions/quick/mnist/resnet18-s0/labels.npy", "verify"),
}
_LIMIT = 'ulimit -f {blocks}; exec "$@"'  # blocks of 1 KiB or of 512 bytes that a file may have


def _changed(draw: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """Flipped bits and torn files."""
    flipped = Outcome("storage", "a bit of data, weights, records or predictions is another")
    for what, (name, reader) in list(FLIPPED.items())[: max(2, round(len(FLIPPED) * amount))]:
        with flipped.trial(what):
            _named(project, name, reader, lambda content: _flip(content, draw))
    yield flipped
    torn = Outcome("storage", "a file of the run is torn")
    for what in ("weights", "history", "run record", "result")[: max(1, round(4 * amount))]:
        name, reader = FLIPPED[what]
        with torn.trial(what):
            _named(project, name, reader, lambda content: content[: draw.randrange(len(content))])
    yield torn


def _command(project: Project, reader: str) -> list[str]:
    if reader == "verify":
        return ["python", "-m", "stages.audit", "verify", "mnist/resnet18"]
    return project.command(f"{reader}-{CELL}")


def _named(project: Project, name: str, reader: str, change: Callable[[bytes], bytes]) -> None:
    """A reader names the file, or what lies in it, and ends with an error; then the file is put back."""
    file = project.folder / name
    before = {path: (project.folder / path).read_bytes() for path, _ in FLIPPED.values()}
    changed = change(before[name])
    file.unlink()  # it may share its bytes with the project that this one is a copy of
    file.write_bytes(changed)
    try:
        done = project.finish(_command(project, reader))
        said = done.stdout + done.stderr
        check(done.returncode, f"{reader} ended well")
        check(Path(name).name in said or Path(name).stem in said, f"not named: {said[-300:]}")
    finally:
        for path, content in before.items():
            (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (project.folder / path).unlink(missing_ok=True)
            (project.folder / path).write_bytes(content)


def _flip(content: bytes, draw: Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(changed) // 2, len(changed))] ^= 1 << draw.randrange(7)
    return bytes(changed)


def _checkpoints(draw: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """A checkpoint that is torn, flipped or foreign is refused in a line, and the training starts over."""
    outcome = Outcome("storage", "the checkpoint is torn, flipped or another thing")
    weights = f"{RUN}/weights.safetensors"
    expected, checkpoint = project.content(weights), project.folder / f"{RUN}.checkpoint"
    good = (project.folder / weights).read_bytes()
    kinds = {"torn": good[:1000], "flipped": _flip(good, draw), "empty": b"", "noise": draw.randbytes(5000)}
    for what, content in list(kinds.items())[: max(1, round(4 * amount))]:
        with outcome.trial(what):
            checkpoint.write_bytes(content)
            done = project.finish(_command(project, "train"))
            check(done.returncode == 0, f"status {done.returncode}: {done.stderr[-300:]}")
            check("is not used" in done.stderr, "taken without a word")
            check(project.content(weights) == expected, "other weights")
            check(not checkpoint.exists(), "it is left")
    yield outcome


def _full(_: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """No file may grow beyond a limit, as on a full disk: one line, and what was there stays or is made again."""
    outcome = Outcome("storage", "the disk is full in a stage")
    for stage in ("train", "evaluate", "aggregate")[: max(1, round(3 * amount))]:
        with outcome.trial(stage):
            name = "aggregate-tables@quick" if stage == "aggregate" else f"{stage}-{CELL}"
            command, pages = project.command(name), project.content("reports/quick/tables")
            blocks = {"train": 1000, "evaluate": 2, "aggregate": 20}[stage]
            done = project.finish(["sh", "-c", _LIMIT.format(blocks=blocks), "sh", *from_nothing(command)])
            check(done.returncode, "it ended well")
            check("Error: " in done.stderr, f"no line says why: {done.stderr[-300:]}")
            if stage == "aggregate":
                check(project.content("reports/quick/tables") == pages, "the pages that were there are gone")
            check(project.finish(command).returncode == 0, "it does not go on afterwards")
    yield outcome


def _in_the_way(_: Random, project: Project, __: float) -> Iterator[Outcome]:
    """A file stands where a folder is to be made (root may write everywhere, so no mode stops it)."""
    outcome = Outcome("storage", "an output cannot be written")
    command = project.command(f"train-{CELL}")
    (project.folder / "blocked").write_text("", encoding="utf-8")
    with outcome.trial("train"):
        done = project.finish([*command[: command.index("--out")], "--out", "blocked/run"])
        check(done.returncode, "it ended well")
        check("Error: " in done.stderr and "blocked" in done.stderr, f"not named: {done.stderr[-300:]}")
    yield outcome


JOBS = {"changed": _changed, "checkpoints": _checkpoints, "full": _full, "in the way": _in_the_way}
