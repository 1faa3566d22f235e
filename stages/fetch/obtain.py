"""One data set from the first source that has it: fetched, checked, put in place."""

from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import StageError
from stages.fetch.canonical import check_file, holds
from stages.fetch.errors import NoSourceError
from stages.fetch.place import publish, refuse_foreign, staging
from stages.fetch.progress import note
from stages.fetch.sources import Source, names_of
from stages.records.canonical import FileSpec


def obtain(
    dataset: str, files: Sequence[FileSpec], sources: Sequence[Source], out: Path, wanted: str = ""
) -> Source | None:
    """Make `out` a folder of `files`, from the first of `sources` that has them all; give that source.

    None if `out` holds them already. After any error `out` is as it was, and nothing else is left beside it.
    `wanted` says what a user could provide instead; by default it names `files`.
    NoSourceError if no source has them, ForeignFolderError if `out` holds other things too.
    """
    out = out.absolute()
    if holds(out, files):
        return None
    refuse_foreign(out, files)
    failures: list[tuple[str, str]] = []
    try:
        with staging(out) as folder:
            for number, source in enumerate(sources):
                try:
                    staged = _collect(source, files, folder / str(number))
                except StageError as error:
                    failures.append((f"{source.name} ({source.detail})", error.message))
                    if source is not sources[-1]:
                        note(": ".join(failures[-1]))
                    continue
                publish(staged, out, files)
                return source
    except OSError as error:
        # No source is to blame for a disk that is full or must not be written, and none can cure it.
        where = error.filename2 or error.filename or out
        failures.append(("this machine", f"{error.strerror or error} ({where}); cure that, or name another --out"))
    raise NoSourceError(dataset, failures, wanted or names_of(files))


def _collect(source: Source, files: Sequence[FileSpec], folder: Path) -> Path:
    """Fetch into a folder within `folder` (made here), check, and give it. StageError if this source does not do."""
    into, scratch = folder / "files", folder / "scratch"
    for path in (folder, into, scratch):
        path.mkdir()
    source.fetch(files, into, scratch)
    for spec in files:
        check_file(into / spec.name, spec)
    return into
