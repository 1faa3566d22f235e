"""Resolve a merge conflict in dvc.lock: the union of both sides, of which each entry that is new has its own record.

    python -m stages.launch.merge_lock        (after `git merge` has left dvc.lock in conflict)

In:  the three versions of dvc.lock in git's index; results and run records in the working tree, already merged.
Out: dvc.lock. An entry that one side alone has changed is that side's. Where both have, or an entry is new, that of a
     training or an evaluation must say what its record says: settings, code, data, and the hash of what it left. What
     no record backs is left out, and named: DVC runs it again. Every entry keeps its bytes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from ruamel.yaml.error import YAMLError

from stages.config.reading import load_yaml
from stages.core.errors import CorruptFileError, StageError
from stages.core.filenames import RECORD
from stages.core.files import write_text
from stages.core.git import git
from stages.core.progress import say
from stages.launch.recorded import Locked, dependencies, evaluated_with, locked_of, trained_with
from stages.records.dvc_lock import LOCK_FILE, entry_of
from stages.records.evaluation import Evaluation, results_folder
from stages.records.provenance import hash_dependency
from stages.records.run import TrainingRun

_HEAD = "schema: '2.0'\nstages:\n"
_ENTRY = re.compile(r"^  (?=\S)", re.MULTILINE)
_RUN = re.compile(r"data/runs/(?P<budget>[^/]+)/(?P<cell>[^/]+/[^/]+)/s(?P<seed>\d+)")


@click.command()
def main() -> None:
    """Write the union of both sides of a conflict in dvc.lock."""
    base, ours, theirs = (_side(number) for number in (1, 2, 3))
    if not ours or not theirs:
        raise StageError(f"{LOCK_FILE} is not in conflict: git merge first")
    merged, left_out = merge(base, ours, theirs)
    write_text(LOCK_FILE, text_of(merged))
    say(f"{LOCK_FILE}: {len(merged)} entries, {len(merged.keys() - ours.keys())} of them theirs alone")
    if left_out:
        say("left out, to be run again: " + "; ".join(f"{name} ({why})" for name, why in left_out.items()))
    say(f"next: git add {LOCK_FILE}; pages in conflict: git checkout --ours reports, then")
    say("dvc repro --single-item aggregate-tables@<budget>, which makes them from the results of both")


def merge(
    base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The entries (YAML text by stage) of both sides, and why others are left out."""
    merged: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        before, one, other = base.get(name), ours.get(name), theirs.get(name)
        if one == other or other == before:
            chosen = [one]
        elif one == before:
            chosen = [other]
        else:
            chosen = [entry for entry in (one, other) if entry is not None]
        if chosen == [None]:
            continue  # the side that changed it has removed it
        reasons = [
            None if entry == before else why_unproved(name, entry or "", contested=len(chosen) > 1) for entry in chosen
        ]
        known = [entry for entry, why in zip(chosen, reasons, strict=True) if entry and why is None]
        if known:
            merged[name] = known[0]
        else:
            left_out[name] = "; ".join(dict.fromkeys(filter(None, reasons)))
    return merged, left_out


def why_unproved(name: str, entry: str, contested: bool) -> str | None:
    """Why the record of a training or an evaluation does not say what its entry says; None where it does.

    Other stages have no record: their entries are taken as they are, unless both sides have one of their own.
    """
    try:
        locked = locked_of(entry_of(name, _parsed(name, entry)))
        if name.startswith("train"):
            return None if _trained(locked) else "its run record says another thing"
        if name.startswith("evaluate"):
            return None if _tested(locked) else "its result says another thing"
    except (StageError, AttributeError, KeyError, TypeError, ValueError, StopIteration) as error:
        said = error.message if isinstance(error, StageError) else f"an entry of another form ({error!r})"
        return " ".join(said.split())
    return "both sides have changed it" if contested else None


def _trained(locked: Locked) -> bool:
    [(out, md5)] = locked.outs.items()
    found = _RUN.fullmatch(out)
    if found is None:
        raise ValueError(out)
    result = results_folder(found["budget"]) / f"{found['cell']}-s{found['seed']}.json"
    if Path(out, RECORD).is_file() and hash_dependency(Path(out)).md5 == md5:
        run = TrainingRun.read(Path(out, RECORD), "dvc repro")
    else:
        tested = Evaluation.read(result, "dvc repro")
        folder, dependency = tested.run_folder
        if (folder, dependency.md5) != (out, md5):
            return False
        run = tested.run
    return locked.params == trained_with(run) and locked.deps == dependencies(run.provenance)


def _tested(locked: Locked) -> bool:
    path = next(out for out in locked.outs if out.endswith(".json"))
    result = Evaluation.read(path, "dvc repro")
    return (
        locked.params == evaluated_with(result)
        and locked.deps == dependencies(result.provenance)
        and result.file is not None
        and locked.outs[path] == result.file.md5
    )


def entries(text: str) -> dict[str, str]:
    """The entries of a dvc.lock by stage, each as its own lines. Raises CorruptFileError for another form."""
    text = text.replace("\r\n", "\n")
    if not text.startswith(_HEAD):
        raise CorruptFileError(LOCK_FILE, "no stages of schema 2.0", "what DVC writes")
    blocks = ["  " + block for block in _ENTRY.split(text.removeprefix(_HEAD)) if block]
    found = {block.split("\n", 1)[0].strip().removesuffix(":").strip("'\""): block for block in blocks}
    if len(found) != len(blocks):
        raise CorruptFileError(LOCK_FILE, "a stage stands twice", "every stage once")
    return {name: block if block.endswith("\n") else f"{block}\n" for name, block in found.items()}


def text_of(found: Mapping[str, str]) -> str:
    """The text of a dvc.lock of these entries, as `entries` gives them."""
    return _HEAD + "".join(found.values())


def _parsed(name: str, entry: str) -> dict[str, Any]:
    try:
        content = load_yaml(entry)
    except (YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return dict(content[name])


def _side(number: int) -> dict[str, str]:
    """One of the three versions in git's index; empty where there is none, as of a file that both sides have added."""
    done = git("show", f":{number}:{LOCK_FILE}")
    return entries(done.stdout.decode(errors="replace")) if done.returncode == 0 else {}


if __name__ == "__main__":
    main()
