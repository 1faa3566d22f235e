"""Results, specs, lock files, CSV files and arrays that are torn, mutated or another thing, for all who read them."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from stages.audit.arrays import array
from stages.config.reading import read_yaml
from stages.core.errors import StageError
from stages.launch.merge_lock import entries
from stages.launch.pipeline import LockFile
from stages.paper.reading import read_paper
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation
from stages.records.spec import Spec
from tests.faults.outcome import Outcome, check, in_child
from tests.shipped import ROOT

_FULL = 400
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 2**63, 10**400, 1e308, -0.0),
    None,
    True,
    "",
    "9" * 500,
    [],
    {},
    [[]],
    "\0",
    "\N{GREEK SMALL LETTER PI}",
)


def run(draw: Random, folder: Path, amount: float) -> Iterator[Outcome]:
    """Mutations of each file, through each reader of it."""
    shutil.copytree(ROOT / "data/paper", folder / "paper", dirs_exist_ok=True)
    sources = _sources()
    for name, (content, read) in sources.items():
        outcome = Outcome("files", f"{name}, mutated")
        for number in range(max(4, round(_FULL * amount / len(sources)))):
            how, mutated = _mutated(content, draw)
            file = folder / f"mutated{Path(name.split()[0]).suffix}"
            file.write_bytes(mutated)
            with outcome.trial(f"{number} {how}"):
                in_child(partial(_refused_or_read, read, file))
        yield outcome


def _refused_or_read(read: Callable[[Path], Any], file: Path) -> None:
    try:
        read(file)
    except StageError as error:
        check(len(error.message) < 5000, "longer than anyone reads")


def _sources() -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    result = next(iter(sorted((ROOT / "reports/quick/cells").glob("*/*.json"))))
    spec = next(iter(sorted((ROOT / "reports/quick/specs").glob("*/*.json"))))
    logits = next(iter(sorted((ROOT / "reports/quick/cells").glob("*/*.npy"))))
    lock = (ROOT / "dvc.lock").read_bytes()
    short = lock[: lock.index(b"\n  train-")] + b"\n"  # the whole takes a second to parse
    csv = ROOT / "data/paper/accuracies.csv"
    csv = csv if csv.is_file() else next(iter(sorted((ROOT / "data/paper").glob("*.csv"))))
    return {
        "result.json": (result.read_bytes(), lambda path: Evaluation.read(path, "evaluate")),
        "spec.json": (spec.read_bytes(), lambda path: Spec.read(path, "resolve")),
        "dvc.lock of audit": (short, _read_lock),
        "dvc.lock of plan": (short, _plan_lock),
        "dvc.lock of merge_lock": (short, lambda path: entries(path.read_text(encoding="utf-8", errors="replace"))),
        "dvc.yaml": ((ROOT / "dvc.yaml").read_bytes(), read_yaml),
        f"{csv.name}": (csv.read_bytes(), lambda path: _paper(path, csv.name)),
        "logits.npy of verify": (logits.read_bytes(), array),
    }


def _read_lock(path: Path) -> None:
    lock = Lock(path)
    for stage in lock.stages:
        lock.entry(stage)


def _plan_lock(path: Path) -> None:
    from stages.launch import pipeline

    before = pipeline.LOCK_FILE
    pipeline.LOCK_FILE = path
    try:
        LockFile().locked("resolve@quick")
    finally:
        pipeline.LOCK_FILE = before


def _paper(path: Path, name: str) -> None:
    target = path.parent / "paper" / name
    shutil.copy(path, target)
    read_paper(path.parent / "paper")


def _mutated(content: bytes, draw: Random) -> tuple[str, bytes]:
    """Some bytes of a file are others, and what was done."""
    how = draw.choice(
        ("torn", "flipped", "doubled", "inserted", "conflict", "utf-16", "empty", "crlf", "nested", "value")
    )
    at = draw.randrange(max(1, len(content)))
    if how == "torn":
        return how, content[:at]
    if how == "flipped":
        changed = bytearray(content)
        for _ in range(draw.randrange(1, 20)):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        return how, bytes(changed)
    if how == "doubled":
        return how, content[:at] + content[max(0, at - 200) :]
    if how == "inserted":
        return how, content[:at] + draw.randbytes(draw.randrange(1, 50)) + content[at:]
    if how == "conflict":
        lines = content.split(b"\n")
        place = draw.randrange(len(lines))
        lines[place:place] = [b"<<<<<<< HEAD", lines[place], b"=======", b"other", b">>>>>>> branch"]
        return how, b"\n".join(lines)
    if how == "utf-16":
        return how, content.decode("utf-8", "replace").encode("utf-16")
    if how == "empty":
        return how, draw.choice((b"", b"\n", b"null", b"[]", b"{}", b"3"))
    if how == "crlf":
        return how, content.replace(b"\n", b"\r\n")
    if how == "nested":
        return how, draw.choice((b"[" * 50_000, b'{"a":' * 50_000, b"a: " + b"[" * 2000))
    return _other_value(content, draw)


def _other_value(content: bytes, draw: Random) -> tuple[str, bytes]:
    """A value anywhere in a JSON file is another; of other files a line is gone."""
    try:
        data = json.loads(content)
    except ValueError:
        lines = content.split(b"\n")
        del lines[draw.randrange(len(lines))]
        return "a line is gone", b"\n".join(lines)
    part, key = data, None
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = draw.choice(keys)
        if not isinstance(part[key], dict | list) or not part[key] or draw.random() < 0.15:
            break
        part = part[key]
    if draw.random() < 0.2:
        del part[key]
        return f"{key} is gone", json.dumps(data, indent=1).encode()
    part[key] = draw.choice(NUMBERS)
    return f"{key} is {str(part[key])[:20]!r}", json.dumps(data, indent=1).encode()


JOBS = {"mutated": run}
