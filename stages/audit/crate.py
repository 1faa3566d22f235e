"""A budget's results as an RO-Crate 1.1 of the profile Process Run Crate 0.5. The one module that imports rocrate.

The same results give the same bytes: nothing in the crate is of the time or the machine on which it was made.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rocrate.rocrate import ROCrate

from stages.audit.actions import Actions, Entity, actions, reference
from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import file_hash
from stages.paper.reading import PAPER_FOLDER
from stages.records.evaluation import logits_path
from stages.report.evidence import Evidence
from stages.report.results import result_path
from stages.report.tables import table_index

PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_VERSION = "1.1"  # of RO-Crate, on which Process Run Crate 0.5 is built
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # md5, sha256, environment
_PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock", "requirements.lock")
_PROJECT = Path("pyproject.toml")
_LICENSES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING")
_FORMATS = {
    ".json": "application/json",
    ".npy": "application/octet-stream",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".html": "text/html",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


class Run(NamedTuple):
    """A result's file, and the actions that made it."""

    file: Path
    actions: Actions


def results_crate(evidence: Evidence, reports: Path) -> ROCrate:
    """The crate of a budget's results; `reports` is its folder of reports, relative to the working directory.

    Raises MissingFileError where a file that explains the results is missing, CorruptFileError for a result that does
    not say where it comes from.
    """
    runs = list(_runs(evidence, reports / "cells"))
    if not runs:
        raise MissingFileError(reports / "cells", f"dvc repro, with budget {evidence.budget_name}")
    crate = ROCrate(version=_VERSION)
    crate.metadata.extra_contexts.append(_TERMS)
    files = _files(reports, [file for one in runs for file in (one.file, logits_path(one.file))])
    sources = _table_sources(evidence, reports)
    for path in files:
        crate.add_file(path, path.as_posix(), properties=_properties(path) | _based_on(sources.get(path)))
    for entity in _entities(runs):
        crate.add_jsonld(dict(entity))
    mentioned = [reference(action) for one in runs for action in (one.actions.train, one.actions.evaluate)]
    _describe(crate, evidence, runs, mentioned)
    return crate


def _runs(evidence: Evidence, cells: Path) -> Iterator[Run]:
    for cell in evidence.cells.values():
        for result in cell.results:
            path = result_path(cells, cell.key, result.seed)
            if not logits_path(path).is_file():
                raise MissingFileError(logits_path(path), f"git checkout, or dvc repro {result.stage}")
            yield Run(path, actions(result, path))


def _files(reports: Path, results: Sequence[Path]) -> list[Path]:
    """The pipeline's own files, the paper's numbers, the results that the tables are made of, and all other reports."""
    pipeline = [Path(name) for name in _PIPELINE]
    for path in pipeline:
        if not path.is_file():
            raise MissingFileError(path, "git (git checkout)")
    cells = reports / "cells"
    others = [path for path in sorted(reports.rglob("*")) if path.is_file() and not path.is_relative_to(cells)]
    shown = [path for path in others if not any(part.startswith(".") for part in path.parts)]
    licenses = [path for path in map(Path, _LICENSES) if path.is_file()]
    return [*licenses, *pipeline, *sorted(PAPER_FOLDER.glob("*.csv")), *results, *shown]


def _table_sources(evidence: Evidence, reports: Path) -> dict[Path, list[Entity]]:
    """For each file of a table, the results that it is made of."""
    found = {}
    for number in evidence.params.shown_tables:
        table = evidence.params.tables[number]
        made_of = [
            {"@id": result_path(reports / "cells", cell.key, result.seed).as_posix()}
            for cell in (evidence.cell(table.dataset, row.cell) for row in table.rows)
            for result in cell.results
        ]
        for suffix in (".csv", ".md"):
            found[reports / "tables" / f"table_{table_index(number)}{suffix}"] = made_of
    return found


def _based_on(sources: list[Entity] | None) -> dict[str, Any]:
    return {"isBasedOn": sources} if sources else {}


def _properties(path: Path) -> dict[str, Any]:
    return {
        "name": path.as_posix(),
        "encodingFormat": _FORMATS.get(path.suffix, "text/plain"),
        "contentSize": str(path.stat().st_size),
        "sha256": file_hash(path, "sha256"),
    }


def _entities(runs: Iterable[Run]) -> list[Entity]:
    """The entities of all actions, each once."""
    found: dict[str, Entity] = {}
    for one in runs:
        for entity in one.actions.entities:
            if found.setdefault(entity["@id"], entity) != entity:
                raise CorruptFileError(one.file, f"another {entity['@id']}", "the one of the results before")
    return list(found.values())


def _describe(crate: ROCrate, evidence: Evidence, runs: Sequence[Run], mentioned: list[Entity]) -> None:
    project = _project()
    about = f"{project['description']}. Budget {evidence.budget_name}: {evidence.budget.caption}."
    root = crate.root_dataset
    root["name"] = f"{project['name']}: results of the budget {evidence.budget_name}"
    root["description"] = about
    root["datePublished"] = max(action["endTime"] for one in runs for action in one.actions[:2])
    root["license"] = _license(crate)
    root["conformsTo"] = {"@id": PROCESS}
    root["mentions"] = mentioned
    crate.add_jsonld({"@id": PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"})


def _project() -> dict[str, Any]:
    if not _PROJECT.is_file():
        raise MissingFileError(_PROJECT, "git (git checkout)")
    return tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]


def _license(crate: ROCrate) -> Mapping[str, Any]:
    """The repository's own licence; where it has none, the crate says so instead of choosing one."""
    for name in _LICENSES:
        if Path(name).is_file():
            return {"@id": name}
    entity = {
        "@id": "#no-license",
        "@type": "CreativeWork",
        "name": "No licence stated",
        "description": "The repository states no licence: ask its authors before you copy or change it.",
    }
    crate.add_jsonld(dict(entity))
    return reference(entity)
