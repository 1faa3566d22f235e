"""A budget's results as an RO-Crate, for an archive or another laboratory.

    python -m stages.audit export --budget quick --out /some/folder        or --out results.zip

In:  params.yaml, dvc.yaml, dvc.lock, requirements.lock, data/paper, data/labels, reports/<budget>; a fresh clone has
     them all.
Out: a folder or a zip with these files and ro-crate-metadata.json, which says of each number by which training and
     which evaluation it was made: code at its commit, settings, data and weights by their hashes, times, machine,
     versions (Process Run Crate 0.5). Beside them: verification.json, what `verify` finds of each number in this clone;
     the true labels of the test splits, by which each accuracy is counted again from the crate alone; the sources of
     each commit; a page that leads into the book. Other data stay where they are; weights come with --weights. The
     same results in the same clone give the same bytes.

A result whose binding, counts or settings are wrong is refused. A number that is broken in another way (a page,
dvc.lock, logits) is exported with what `verify` found of it.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import click

from stages.audit.numbers import planned
from stages.audit.options import budget_option
from stages.config.params import Params
from stages.core.errors import ParamError, StageError
from stages.core.files import atomic_path
from stages.core.imports import without_collection
from stages.core.progress import say

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold
_MODE = 0o100644 << 16


@click.command()
@budget_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="a new folder, or a new file *.zip")
@click.option("--weights", is_flag=True, help="enclose the weights")
def main(budget: str | None, out: Path, weights: bool) -> None:
    """Write a budget's results as an RO-Crate."""
    refuse_taken(out)
    from stages.report.evidence import evidence_of  # here: a wrong option is refused without the wait

    evidence = evidence_of(budget)
    from stages.audit.crate import VERIFICATION, results_crate

    found = verification(evidence.budget_name, evidence.params)
    crate = results_crate(evidence, found, weights)
    with _folder_for(out) as folder:
        crate.write(folder)
    say(f"{len(crate.root_dataset['mentions'])} runs, {len(crate.data_entities)} files: {out}")
    counts = Counter(number["status"] for number in found["numbers"])
    say(f"{VERIFICATION}: {', '.join(f'{count} {status}' for status, count in sorted(counts.items()))}")


def verification(budget: str, params: Params) -> dict[str, Any]:
    """What `verify` finds of every number of the budget, as JSON data."""
    with without_collection():
        from stages.audit.history import verifier
        from stages.audit.verify import as_document, verify
        from stages.audit.workspace import Workspace

    numbers = planned(params)
    return as_document(budget, *verify(numbers, numbers, Workspace(budget, params)), verifier())


def refuse_taken(out: Path) -> None:
    """Refuse (ParamError) a place where there is something already."""
    free = not out.exists() or (out.is_dir() and out.suffix != ".zip" and not any(out.iterdir()))
    if not free:
        raise ParamError("--out", str(out), "a folder that is not there or empty, or a file *.zip that is not there")


@contextmanager
def _folder_for(out: Path) -> Iterator[Path]:
    """Give a folder to write into; it becomes `out`, as it is or zipped, when the block ends without an exception."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            folder = Path(temporary) / out.name
            yield folder
            if out.suffix == ".zip":
                with atomic_path(out) as file:
                    write_zip(folder, file)
            else:
                folder.replace(out)
    except OSError as error:
        raise StageError(f"{out} cannot be written ({error}); mend that, and start again") from error


def write_zip(folder: Path, file: Path) -> None:
    """Zip a folder, with the same bytes whenever its files are the same."""
    with ZipFile(file, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr, entry.compress_type = _MODE, ZIP_DEFLATED
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)
