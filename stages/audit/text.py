"""An answer as text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from textwrap import shorten
from typing import Any

from stages.audit.questions import listing
from stages.config.schema import is_table
from stages.core.progress import duration
from stages.report.evidence import Evidence
from stages.report.levels import MEANS
from stages.report.rows import TableRow

_SHORT = 12  # digits of a hash: what git shows of a commit, and enough to compare by eye
_WIDEST = 60  # characters of a variable; --json has all of them


def explanation(answer: dict[str, Any]) -> str:
    """The whole answer, section by section."""
    sections = (
        [*_number(answer["number"], answer["conditions"]), *_as_logged(answer["as_logged"])],
        [*_of_seed(answer), *_spec(answer["spec"]), *_configuration(answer["configuration"])],
        _assumptions(answer["assumptions"]),
        _chain(answer["chain"]),
        _code(answer),
        _reproduce(answer),
        _notes(answer["notes"]),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def matches(value: str, found: Mapping[TableRow, list[str]], evidence: Evidence) -> str:
    """The numbers that are printed with one value, and the command for each."""
    lines = [f"{value} is printed {len(found)} times; to have one explained:"]
    for line, whose in zip(listing(found, evidence), found.values(), strict=True):
        lines.append(f"{line}: {' and '.join(whose)}")
    return "\n".join(lines)


def _number(number: dict[str, Any], conditions: dict[str, Any]) -> Iterator[str]:
    where = f"Table {number['table']}" if is_table(number["table"]) else f"Study {number['table']}"
    yield f"{where}, {number['row']}  ({number['cell']}, budget {number['budget']})"
    paper = f"paper {number['paper']} %, difference {number['difference']}" if number["paper"] else "not in the paper"
    spread = f" (std {number['std']})" if number["std"] else ""
    count = f"n = {number['n']}" + (f" of {number['planned']}" if number["n"] < number["planned"] else "")
    yield f"  ours {number['ours']} %{spread}, {count}; {paper}; {number['outcome']}"
    for seed, one in number["seeds"].items():
        yield f"  seed {seed}: {one['correct']} of {one['test_images']} correct, {one['value']} %, {one['outcome']}"
        yield f"    {one['level']}: {MEANS[one['level']]} (verify goes further)"
    yield f"  {conditions['caption']}: {', '.join(conditions['sizes'])}"
    for name, setting in conditions["overrides"].items():
        yield f"  the budget sets {name} {_shown(setting['value'])} instead of {_shown(setting['instead_of'])}"
    if not conditions["as_paper"]:
        yield "  not the paper's conditions, so the difference does not judge the paper"


def _as_logged(found: dict[str, Any] | None) -> Iterator[str]:
    """The row's two numbers, where its printed logs suggest another setting than the text."""
    if found is None:
        return
    for name, about in (("text", "as the text says"), ("logged", "as its logs or numbers suggest")):
        cell = found[name]
        value = cell["outcome"] if cell["ours"] is None else f"ours {cell['ours']} %"
        this = "  <- this number" if found["this"] == name else ""
        settings = ", ".join(f"{setting} {_shown(both[name])}" for setting, both in found["differs"].items())
        yield f"  {about} ({settings}): {value}  ({cell['cell']}){this}"


def _of_seed(answer: dict[str, Any]) -> Iterator[str]:
    """Which seed the rest of the answer is about, where the number has several."""
    others = [seed for seed in answer["number"]["seeds"] if str(seed) != str(answer["seed"])]
    if others:
        yield f"Below: seed {answer['seed']} (for another: --seed {' or '.join(map(str, others))})"


def _spec(found: dict[str, Any]) -> Iterator[str]:
    """Where the configuration is written down, and the code that goes with it."""
    commit, date = found["last_commit"], found["date"]
    last = f"last changed in commit {commit[:_SHORT]}, {date}" if commit else "in no commit here"
    yield f"Spec: {found['path']} (md5 {found['md5'][:_SHORT]}), {last}"
    for kind, sha256 in found["fingerprint"].items():
        of = f"over {found['modules'][kind]} modules (scheme {found['scheme']})"
        yield f"  code of {kind}: fingerprint {sha256[:_SHORT]} {of}"


def _configuration(found: dict[str, Any]) -> Iterator[str]:
    yield f"Configuration (* differs from {found['plain']})" if found["differs"] else "Configuration"
    settings = found["settings"] | {name: None for name in found["differs"] if name not in found["settings"]}
    width = max(map(len, settings))
    for name, value in settings.items():
        change = found["differs"].get(name)
        plain = f"    {found['plain']}: {_shown(change['plain'])}" if change else ""
        yield f"{'*' if change else ' '} {name:<{width}}  {_shown(value)}{plain}"


def _assumptions(found: list[dict[str, Any]]) -> Iterator[str]:
    if found:
        yield "Assumptions it rests on"
    for one in found:
        settings = ", ".join(f"{name} {_shown(value)}" for name, value in one["settings"].items())
        yield f"  {one['id']:<3} {one['point']}: {one['assumption']}" + (f" [{settings}]" if settings else "")
        if one["replaced_by_budget"]:
            yield f"      replaced by the budget: {', '.join(one['replaced_by_budget'])}"
        if one["tried_otherwise"]:
            yield f"      tried otherwise here: {', '.join(one['tried_otherwise'])}"
        yield f"      why: {one['reason']}; to change: {one['change']}"


def _chain(links: list[dict[str, Any]]) -> Iterator[str]:
    yield "Chain (where each hash is recorded; `python -m stages.audit verify` holds it against the bytes)"
    rows = [
        (
            link["step"] if not place or links[place - 1]["step"] != link["step"] else "",
            f"{link['algorithm']} {(link['hash'] or 'not recorded')[:_SHORT]}",
            {None: "value", True: "here", False: "absent"}[link["here"]],
            link["path"] or link["name"],
            "; ".join(dict.fromkeys(map(_place, link["recorded"]))),
        )
        for place, link in enumerate(links)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        yield (
            "  " + "  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        )
    results = next(record["file"] for link in links for record in link["recorded"] if record["file"].endswith(".json"))
    yield f"  result = {results}"


def _place(record: dict[str, Any]) -> str:
    """A place briefly: the result's key, or the stage in dvc.lock."""
    if record["file"].endswith(".json"):
        parts = record["key"].split(".inputs.")
        return f"result {parts[0] + '.inputs' if len(parts) > 1 else record['key']}"
    return f"{record['file']} {record['key'].partition('.')[0]}"


def _code(answer: dict[str, Any]) -> Iterator[str]:
    yield "Code, machine and run"
    for step, code in answer["code"].items():
        machine, times = answer["machine"][step], answer["times"][step]
        yield f"  {step}: commit {code['commit'][:_SHORT]}, {_held(code)}"
        yield from _changes(code["changes"])
        took = duration(times["seconds"])
        yield f"    {times['started']}, {took}; {machine['device']}, {machine['precision']}, {_threads(machine)}"
        yield f"    {machine['processor']}; {machine['platform']}"
        packages = [f"{name} {version}" for name, version in machine["packages"].items() if version]
        yield f"    Python {machine['python']}, {', '.join(packages)}; {_run_by(code, machine)}"
        if machine["variables"]:
            variables = machine["variables"].items()
            yield "    " + " ".join(f"{name}={shorten(value, _WIDEST, placeholder='...')}" for name, value in variables)
    for machine in answer["machines"]:
        epochs = ", ".join(map(str, machine["epochs"])) or "none"
        yield f"  epochs {epochs}: {machine['processor']}; {machine['platform']}"
    mlflow = answer["mlflow"]
    if mlflow:
        where = f'"{mlflow["run"]}" in the experiment "{mlflow["experiment"]}"'
        yield f"  MLflow: run {mlflow['run_id']}, {where} (make ui)"
    else:
        yield "  MLflow: not mirrored; the mirror is no part of the proof"


def _changes(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The files that were not committed, which `--difference` prints."""
    for one in found:
        lines = "" if one["added"] is None else f", +{one['added']} -{one['removed']} lines"
        md5 = f", md5 {one['md5'][:_SHORT]}" if one["md5"] else ""
        yield f"    not committed: {one['path']}, {one['what']}{lines}{md5}"


def _held(code: dict[str, Any]) -> str:
    state = "with uncommitted changes" if code["dirty"] else "clean"
    if not code["commit_is_here"]:
        return f"{state}; not in this clone"
    same = code["sources"] - len(code["differs_from_commit"])
    return f"{state}; in this clone it holds {same} of the {code['sources']} recorded sources"


def _run_by(code: dict[str, Any], machine: dict[str, Any]) -> str:
    """Who started the command: DVC or a launch, as a stage of dvc.yaml, or a person."""
    if code["run_by"] == "hand":
        return "run by hand"
    if machine["packages"].get("dvc"):
        return "run as a stage of DVC"
    return "run by a worker of a launch, on a machine without DVC"


def _threads(machine: dict[str, Any]) -> str:
    return f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''} of {machine['cores']} cores"


def _reproduce(answer: dict[str, Any]) -> Iterator[str]:
    found, machine = answer["reproduce"], answer["machine"]["training"]
    what = f"seed {answer['seed']}" if len(answer["number"]["seeds"]) > 1 else "this number"
    device = "the same kind of processor" if machine["device"] == "cpu" else machine["device"]
    torch = f"torch {machine['packages'].get('torch')}, whichever requirements.lock has"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    yield f"To make {what} again (the same bits on {device}, with {threads} and {torch})"
    if found["difference"]:
        yield f"  {found['difference']}  # what was not committed; before the checkout"
    yield f"  {found['checkout']}"
    if found["apply"]:
        yield f"  {found['apply']}"
    if found["params"]:
        yield f"  # in params.yaml: {'; '.join(found['params'])}"
    yield f"  {found['dvc']}"
    yield f"  {found['tables']}  # the tables, which are as they were until then"
    if found["plain"]:
        yield "or, once the data is there, without DVC (over what is there; --no-mlflow keeps the first out of MLflow)"
        yield from (f"  {command}" for command in found["plain"])


def _notes(notes: Iterable[str]) -> list[str]:
    return ["To know", *(f"  ! {note}" for note in notes)] if notes else []


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
