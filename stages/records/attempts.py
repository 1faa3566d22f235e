"""`reports/<budget>/attempts.jsonl`: every training that was started, whether its result stands in the tables or not.

One entry a line: `begin`, from when on attempts are kept; `start`, `resume` and `end` of a training. An entry has its
own sha256, and those of the entries that nobody had named yet when it was added. So what was removed or changed is
missed by the entries after it, and two branches merge by keeping the lines of both (.gitattributes: merge=union); the
next entry names the ends of both. That the newest entries were not cut off is for git's history to say.

`judging` is the hash of the settings that judge results (`verdicts` and `claims` of params.yaml), so that a page says
whether they have changed since.
"""

import os
import time
from collections.abc import Callable, Container, Iterable
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import ValidationError

from stages.config.params import Params
from stages.core.errors import CorruptFileError, StageError
from stages.core.files import digest, parse_json
from stages.core.locks import waiting
from stages.core.progress import say
from stages.core.regular import is_there, read_regular
from stages.records.provenance import timestamp
from stages.records.record import Natural, NonEmptyStr, Section, Sha256, Time, invalid

BEGIN, START, RESUME, END, FAILED = "begin", "start", "resume", "end", "failed"
UNENDED = "ended without a record: killed or still running"
_MADE_BY = "stage train"
_PATIENCE = 20.0  # seconds that a training waits for another that is adding its line


class Entry(Section):
    """One line. `attempt` of a resume or an end is the hash of its start; `run` of an end the binding of its record."""

    kind: Literal["begin", "start", "resume", "end"]
    time: Time
    after: list[Sha256]
    commit: NonEmptyStr
    judging: Sha256
    cell: NonEmptyStr | None = None
    seed: Natural | None = None
    spec: NonEmptyStr | None = None
    device: NonEmptyStr | None = None
    attempt: Sha256 | None = None
    outcome: NonEmptyStr | None = None
    run: Sha256 | None = None
    sha256: Sha256

    def expected_sha256(self) -> str:
        """The hash of the other fields."""
        return digest(self.model_dump(mode="json", exclude={"sha256"}, exclude_none=True))


class Attempt(NamedTuple):
    """A training that was started, and how it ended; `end` is None where it did not, or is still running."""

    start: Entry
    resumes: tuple[Entry, ...]
    end: Entry | None

    @property
    def starts(self) -> tuple[Entry, ...]:
        """Its start, and those after a kill or a failure: from the last checkpoint, or anew where none was left."""
        return (self.start, *self.resumes)

    @property
    def outcome(self) -> str:
        """How it ended."""
        return (self.end.outcome or "ended") if self.end else UNENDED

    @property
    def outcome_and_starts(self) -> str:
        """How it ended, and how many starts it took where there were several."""
        return self.outcome + (f", started {len(self.starts)} times" if self.resumes else "")

    def is_among(self, bindings: Container[str | None]) -> bool:
        """Whether its run is one of those with these bindings."""
        return self.end is not None and self.end.run is not None and self.end.run in bindings


class Attempts:
    """All entries of a file, each once, in the order of their times; those of one millisecond by their chain."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        known = {entry.sha256: entry for entry in entries}
        places = _places(known)
        self.entries = sorted(known.values(), key=lambda one: (one.time, places[one.sha256], one.sha256))

    @classmethod
    def read(cls, path: Path) -> "Attempts":
        """Read a file; one that is not there has no entries. Raises CorruptFileError, naming the line."""
        if not is_there(path):
            return cls([])
        return cls.parse(read_regular(path, _MADE_BY), path)

    @classmethod
    def parse(cls, content: bytes, path: Path | str) -> "Attempts":
        """The entries of the file at `path` by its bytes. Raises CorruptFileError, naming the line."""
        lines = content.split(b"\n")
        return cls(_entry(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip())

    @property
    def begin(self) -> Entry | None:
        """The entry that says from when on attempts are kept."""
        return next((entry for entry in self.entries if entry.kind == BEGIN), None)

    @property
    def ends(self) -> list[str]:
        """The hashes that no entry names yet, which the next one will."""
        named = {sha256 for entry in self.entries for sha256 in entry.after}
        return [entry.sha256 for entry in self.entries if entry.sha256 not in named]

    @property
    def removed(self) -> list[str]:
        """The hashes of entries that others name and that are not here."""
        known = {entry.sha256 for entry in self.entries}
        named = {
            sha256 for entry in self.entries for sha256 in (*entry.after, *([entry.attempt] if entry.attempt else []))
        }
        return sorted(named - known)

    @cached_property
    def trainings(self) -> list[Attempt]:
        """The trainings that were started."""
        by_attempt: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.attempt:
                by_attempt.setdefault(entry.attempt, []).append(entry)
        return [_training(entry, by_attempt.get(entry.sha256, [])) for entry in self.entries if entry.kind == START]

    def unfinished(self, cell: str, seed: int, spec: str) -> Attempt | None:
        """The newest training of a cell, seed and spec, unless it came to an end; started again, it goes on."""
        asked = (cell, seed, spec)
        found = [one for one in self.trainings if (one.start.cell, one.start.seed, one.start.spec) == asked]
        return found[-1] if found and (found[-1].end is None or found[-1].end.outcome == FAILED) else None


def _places(known: dict[str, Entry]) -> dict[str, int]:
    """For each entry, by its hash, how long the longest chain of entries before it is.

    There is no cycle: an entry's hash is over the hashes that it names.
    """
    places: dict[str, int] = {}
    for sha256 in TopologicalSorter({name: entry.after for name, entry in known.items()}).static_order():
        before = known[sha256].after if sha256 in known else []
        places[sha256] = 1 + max((places[one] for one in before), default=-1)
    return places


def _training(start: Entry, of_it: list[Entry]) -> Attempt:
    """A training by its entries. One that came to its end has ended, whatever is written after that."""
    ended = [entry for entry in of_it if entry.kind == END and entry.outcome != FAILED]
    last = ended[0] if ended else of_it[-1] if of_it else None
    resumes = tuple(entry for entry in of_it if entry.kind == RESUME)
    return Attempt(start, resumes, last if last and last.kind == END else None)


def attempts_path(budget: str) -> Path:
    """Where the attempts of a budget are kept."""
    return Path("reports", budget, "attempts.jsonl")


def judging(params: Params) -> str:
    """The hash of the settings that judge results."""
    return digest(params.model_dump(mode="json", include={"verdicts", "claims"}))


Fields = Callable[[Attempts], dict[str, Any]]  # of a new entry, by those that are there


class Journal:
    """Writes down one training. It must not die for that: where nothing can be written, it says so and goes on.

    A training into a folder outside of the project is a trial, as that of `verify --retrain`, and is not written down.
    One that ends with an error has failed; one that is killed or interrupted has not ended, and may go on.
    """

    def __init__(self, params: Params, budget: str, out: Path) -> None:
        self.path, self.judging = attempts_path(budget), judging(params)
        self.is_trial = not out.absolute().resolve().is_relative_to(Path.cwd().resolve())
        self.commit, self.attempt = "", ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            self.ended(FAILED)

    def started(self, cell: str, seed: int, spec: str, commit: str, device: str) -> None:
        """Write that a training starts, or goes on where it was killed; `spec` is the md5 of its spec."""
        self.commit = commit

        def entry(known: Attempts) -> dict[str, Any]:
            before = known.unfinished(cell, seed, spec)
            same = {"kind": RESUME, "attempt": before.start.sha256} if before else {"kind": START}
            return {**same, "cell": cell, "seed": seed, "spec": spec, "device": device}

        added = self._add(entry)
        self.attempt = (added.attempt or added.sha256) if added else ""

    def ended(self, outcome: str, run: str | None = None) -> None:
        """Write how the training ended; `run` is the binding of its record."""
        if self.attempt:
            attempt, self.attempt = self.attempt, ""
            self._add(lambda _: {"kind": END, "attempt": attempt, "outcome": outcome, "run": run})

    def _add(self, entry: Fields) -> Entry | None:
        if self.is_trial:
            return None
        try:
            with waiting(self.path, _PATIENCE):
                return append(self.path, {"judging": self.judging, "commit": self.commit}, entry)
        except (OSError, StageError) as error:
            say(f"warning: {self.path} does not have this training: {getattr(error, 'message', error)}")
            return None


def append(path: Path, common: dict[str, Any], entry: Fields) -> Entry:
    """Add the entry that `entry` makes of those that are there, and before the first one a `begin`."""
    known = Attempts.read(path)
    lines = []
    if not known.entries:
        known = Attempts([_made(known, {**common, "kind": BEGIN})])
        lines = list(known.entries)
    added = _made(known, {**common, **entry(known)})
    _write(path, [*lines, added])
    return added


def merge(path: Path, content: bytes, where: object) -> int:
    """Add the lines of another copy of the file, at `where`, that are not here; returns how many.

    Raises CorruptFileError for what is no such file, and StageError where another process keeps writing.
    """
    with waiting(path, _PATIENCE):
        known = {entry.sha256 for entry in Attempts.read(path).entries}
        added = [entry for entry in Attempts.parse(content, f"{where}").entries if entry.sha256 not in known]
        if added:
            _write(path, added)
    return len(added)


def begin(path: Path, params: Params, commit: str) -> None:
    """Begin to keep attempts, where no training has done so yet."""
    _write(path, [_made(Attempts([]), {"kind": BEGIN, "commit": commit, "judging": judging(params)})])


def _write(path: Path, entries: list[Entry]) -> None:
    text = "".join(entry.model_dump_json(exclude_none=True) + "\n" for entry in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read() == b"\n" else f"\n{text}"
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _made(known: Attempts, fields: dict[str, Any]) -> Entry:
    fields = {
        "time": timestamp(time.time()),
        "after": known.ends,
        **{name: value for name, value in fields.items() if value is not None},
    }
    return Entry(**fields, sha256=digest(fields))


def _entry(line: bytes, where: str) -> Entry:
    content = parse_json(line, where, _MADE_BY)
    try:
        entry = Entry.model_validate(content)
    except ValidationError as error:
        raise invalid(error, content, where, _MADE_BY) from None
    if entry.sha256 != entry.expected_sha256():
        raise CorruptFileError(where, f"sha256 {entry.sha256}", f"{entry.expected_sha256()}, that of the line")
    return entry
