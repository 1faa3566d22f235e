"""A budget's results as an RO-Crate 1.1 of the profile Process Run Crate 0.5. The one module that imports rocrate.

The same results give the same bytes: nothing in the crate is of the time or the machine on which it was made.
"""

import hashlib
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Template
from rocrate.model.preview import Preview
from rocrate.rocrate import ROCrate

from stages.audit.actions import Actions, Entity, actions, reference, single
from stages.audit.history import History
from stages.config.reading import read_yaml
from stages.core.errors import CorruptFileError, MissingFileError, shown
from stages.core.filenames import WEIGHTS
from stages.core.files import file_hash, json_text
from stages.core.regular import is_inside, is_regular, is_there, refusal
from stages.paper.reading import PAPER_FOLDER
from stages.records.evaluation import Evaluation, logits_path, result_path, results_folder
from stages.records.test_split import LABELS, true_labels
from stages.report.evidence import Evidence
from stages.report.tables import table_index

PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_VERSION = "1.1"  # of RO-Crate, on which Process Run Crate 0.5 is built
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # md5, sha256, environment
_PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock", "requirements.lock")
_CITATION, _PAPER_AUDIT = Path("CITATION.cff"), Path("reports/paper_audit.md")
VERIFICATION = "verification.json"
_PREVIEW = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ title }}</title></head>
<body>
<h1>{{ title }}</h1>
<p>{{ about }}</p>
<ul>{% for path, text in links.items() %}
<li><a href="{{ path }}">{{ text }}</a></li>{% endfor %}
</ul>
</body>
</html>
"""
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
    ".cff": "application/yaml",
    ".jsonl": "application/jsonl",
    ".safetensors": "application/octet-stream",
    ".tar": "application/x-tar",
    ".tex": "application/x-tex",
    ".tsr": "application/timestamp-reply",
}


class Run(NamedTuple):
    """A result's file, and the actions that made it."""

    file: Path
    result: Evaluation
    actions: Actions


def results_crate(evidence: Evidence, verification: Any, weights: bool = False) -> ROCrate:
    """The crate of a budget's results and reports, at their paths in the working directory.

    `verification` is what `verify` found, as JSON data; `weights` asks for the weights too. Raises MissingFileError
    where a file that explains the results, or one of the weights, is missing; CorruptFileError for a result that does
    not say where it comes from, or for weights that are not its own.
    """
    authors = _authors()
    agents = [reference(author) for author in authors]
    enclosed = _weights(evidence) if weights else []
    cells = results_folder(evidence.budget_name)
    runs = list(_runs(evidence, cells, agents, set(map(str, enclosed))))
    if not runs:
        raise MissingFileError(cells, f"dvc repro, with budget {evidence.budget_name}")
    crate = ROCrate(version=_VERSION)
    crate.metadata.extra_contexts.append(_TERMS)
    files = _files(cells, [file for one in runs for file in (one.file, logits_path(one.file))])
    sources = _table_sources(evidence, cells)
    for path in (*files, *enclosed):
        crate.add_file(path, path.as_posix(), properties=_properties(path) | _based_on(sources.get(path)))
    _add_labels(crate, evidence, runs)
    _add_made(crate, VERIFICATION, json_text(verification).encode(), "What `verify` found of each number")
    for commit in sorted(
        {made.git.commit for one in runs for made in (one.result.provenance, one.result.run.provenance)}
    ):
        if (archive := History().archive(commit)) is not None:
            _add_made(crate, f"sources/{commit}.tar", archive, f"The sources of commit {commit}")
    for entity in (*authors, *_entities(runs)):
        crate.add_jsonld(dict(entity))
    mentioned = [reference(action) for one in runs for action in (one.actions.train, one.actions.evaluate)]
    _describe(crate, evidence, runs, mentioned)
    crate.root_dataset["author"] = single(agents)
    crate.root_dataset["publisher"] = agents[0]
    crate.add(_BookPreview(crate, cells.with_name("index.html")))
    return crate


class _BookPreview(Preview):
    """The page that a reader of the crate opens first: what it is, and the way into the book, tables and verdict."""

    def __init__(self, crate: ROCrate, book: Path) -> None:
        super().__init__(crate)
        self.book = book.as_posix()

    def generate_html(self) -> str:
        root = self.crate.root_dataset
        tables = f"{self.book.rpartition('/')[0]}/tables/tables.md"
        ways = {
            self.book: "The book: every number with its curve, its confusion matrix and the way back to the raw data",
            tables: "The tables as text",
            VERIFICATION: "What verify found of each number when the crate was made",
            "reports/paper_audit.md": "The paper's own numbers against each other",
            "ro-crate-metadata.json": "The metadata of this crate",
        }
        known = {entity.id for entity in self.crate.data_entities} | {"ro-crate-metadata.json"}
        links = {path: text for path, text in ways.items() if path in known}
        return Template(_PREVIEW, autoescape=True).render(title=root["name"], about=root["description"], links=links)


def _add_made(crate: ROCrate, name: str, content: bytes, about: str) -> None:
    """A file that is made for the crate."""
    crate.add_file(
        BytesIO(content),
        name,
        properties={
            "name": name,
            "description": about,
            "encodingFormat": _FORMATS.get(Path(name).suffix, "application/octet-stream"),
            "contentSize": str(len(content)),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    )


def _add_labels(crate: ROCrate, evidence: Evidence, runs: Sequence[Run]) -> None:
    """The true labels of the test splits: with the logits that are here, each accuracy is counted from the crate alone.

    Raises CorruptFileError for other labels than the data set's, whose sha256 the code has.
    """
    for dataset in sorted({one.result.dataset for one in runs}):
        path, total = LABELS / f"{dataset}.npy", evidence.dataset(dataset).test_images
        true_labels(dataset, total)  # refuses any others
        about = (
            f"The true labels of all {total} test images of {evidence.dataset(dataset).title}: uint8, in the order of "
            f"the canonical raw files. Of n tested images the i-th, counted from 0, is image floor(i * {total} / n). "
            "An accuracy is the share of the rows of a result's logits (.npy, beside it) whose largest is their label's"
        )
        crate.add_file(path, path.as_posix(), properties={**_properties(path), "description": about})


def _weights(evidence: Evidence) -> list[Path]:
    """The files of the weights of all results, each with the hash that its run recorded."""
    found = []
    for cell in evidence.cells.values():
        for result in cell.results:
            path = Path(result.run_folder[0]) / WEIGHTS
            if not is_inside(path) or not is_regular(path):
                raise MissingFileError(path, f"dvc pull, or dvc repro {result.run.stage}")
            if (sha256 := file_hash(path, "sha256")) != result.run.sha256.weights:
                raise CorruptFileError(path, f"sha256 {sha256}", f"{result.run.sha256.weights}, as its run recorded")
            found.append(path)
    return found


def _authors() -> list[Entity]:
    """Who is named in CITATION.cff, else the authors of this repository, whoever they are. Raises CorruptFileError."""
    citation = read_yaml(_CITATION) if _CITATION.is_file() else {}
    if not isinstance(citation, dict):
        raise CorruptFileError(_CITATION, shown(citation), "a mapping, with authors")
    named = citation.get("authors", [])
    if not isinstance(named, list) or not all(isinstance(one, dict) for one in named):
        allowed = "a list of mappings, with given-names and family-names, or name"
        raise CorruptFileError(_CITATION, f"authors {shown(named)}", allowed)
    found = []
    for number, one in enumerate(named, 1):
        person = " ".join(str(one[part]) for part in ("given-names", "family-names") if part in one)
        kind, name = ("Person", person) if person else ("Organization", str(one.get("name", "")))
        found.append({"@id": str(one.get("orcid", f"#author-{number}")), "@type": kind, "name": name})
    return found or [{"@id": "#author-1", "@type": "Organization", "name": "The authors of this repository"}]


def _runs(evidence: Evidence, cells: Path, agents: Sequence[Entity], enclosed: Container[str]) -> Iterator[Run]:
    for cell in evidence.cells.values():
        for result in cell.results:
            path = result_path(cells, cell.key, result.seed)
            if not is_there(logits_path(path)):
                raise MissingFileError(logits_path(path), f"git checkout, or dvc repro {result.stage}")
            yield Run(path, result, actions(result, path, agents, enclosed))


def _files(cells: Path, results: Sequence[Path]) -> list[Path]:
    """The pipeline's own files, the paper's numbers, the results that the tables are made of, and all other reports.

    Raises MissingFileError, and CorruptFileError for a FIFO, a device, or a link that leads out of the repository.
    """
    pipeline = [Path(name) for name in _PIPELINE]
    for path in pipeline:
        if not is_there(path):
            raise MissingFileError(path, "git (git checkout)")
    others = [path for path in sorted(cells.parent.rglob("*")) if not path.is_dir() and not path.is_relative_to(cells)]
    visible = [path for path in others if not any(part.startswith(".") for part in path.parts)]
    licenses = [path for path in map(Path, _LICENSES) if path.is_file()]
    whole = [path for path in (_CITATION, _PAPER_AUDIT) if path.is_file()]
    found = [*licenses, *whole, *pipeline, *sorted(PAPER_FOLDER.glob("*.csv")), *results, *visible]
    for path in found:
        if wrong := refusal(path):
            raise CorruptFileError(path, wrong, "a regular file in the repository, to be enclosed")
    return found


def _table_sources(evidence: Evidence, cells: Path) -> dict[Path, list[Entity]]:
    """For each file of a table, the results that it is made of."""
    found = {}
    for number in evidence.params.shown_tables:
        table = evidence.params.tables[number]
        made_of = [
            {"@id": result_path(cells, cell.key, result.seed).as_posix()}
            for cell in (evidence.cell(table.dataset, row.cell) for row in table.rows)
            for result in cell.results
        ]
        for suffix in (".csv", ".md"):
            found[cells.with_name("tables") / f"table_{table_index(number)}{suffix}"] = made_of
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
            return _named_license(crate, name)
    entity = {
        "@id": "#no-license",
        "@type": "CreativeWork",
        "name": "No licence stated",
        "description": "The repository states no licence: ask its authors before you copy or change it.",
    }
    crate.add_jsonld(dict(entity))
    return reference(entity)


def _named_license(crate: ROCrate, file: str) -> Mapping[str, Any]:
    """A licence that is known by its first line, with the page that defines it; else its file."""
    title = Path(file).read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    if title != "MIT License":
        return {"@id": file}
    entity = {
        "@id": "https://spdx.org/licenses/MIT",
        "@type": "CreativeWork",
        "name": title,
        "description": f"Use, copy and change it freely, with the notice that {file} has.",
    }
    crate.add_jsonld(dict(entity))
    return reference(entity)
