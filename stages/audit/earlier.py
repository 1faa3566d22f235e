"""Looks in git's history for other results of the same code, settings and data.

A forged result that was committed has replaced an earlier one, which older commits still have. So has an honest one
that was trained again on another machine.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.audit.findings import Finding, broken, note
from stages.audit.numbers import Number
from stages.audit.workspace import Workspace
from stages.core.errors import StageError
from stages.core.files import parse_json
from stages.core.regular import LARGEST_TEXT, is_there
from stages.records.evaluation import Evaluation

_SHORT = 12  # digits of a commit


def check_earlier(numbers: Iterable[Number], workspace: Workspace) -> dict[Number, list[Finding]]:
    """Committed results of the same code, settings and data whose predictions or logits are not those of the results.

    For a number without a result here, the newest commit that has one is noted: result, entries in dvc.lock and lines
    of the pages may have been removed together.
    """
    paths = {workspace.result(number).as_posix(): number for number in numbers}
    here = {path: result for path, number in paths.items() if (result := workspace.read(number)[0])}
    found: dict[Number, list[Finding]] = defaultdict(list)
    said: set[tuple[str, ...]] = set()
    unread: Counter[str] = Counter()
    folder = workspace.stages.tables().option("cells").as_posix()
    for commit, path, content in workspace.history.every_version(folder, paths.keys(), LARGEST_TEXT):
        if content is None:
            unread[path] += 1
        elif path in here:
            found[paths[path]] += _otherwise(path, here[path], content, commit, said)
        elif not found[paths[path]] and not is_there(Path(path)) and (then := _content(content, path)):
            found[paths[path]].append(_removed(path, then, commit))
    for path, count in unread.items():
        versions = "a version" if count == 1 else f"{count} versions"
        found[paths[path]].append(note(f"{path}: git names {versions} of it that this clone does not have"))
    return found


def _otherwise(
    path: str, result: Evaluation, content: bytes, commit: str, said: set[tuple[str, ...]]
) -> Iterator[Finding]:
    """A finding if a committed version has other predictions, or other logits of the same weights and numerics.

    Each set is reported once (`said`).
    """
    if not _may_differ(content, result):
        return
    then = _content(content, path)
    predictions, logits = then.get("predictions"), _of(then, "sha256").get("logits.npy")
    if not (isinstance(predictions, str) and isinstance(logits, str)):
        return
    if _made_from(then) != _made_from(result.content()):
        return
    if predictions != result.predictions:
        if (path, predictions) not in said:
            yield from _differs(Path(path), result, then, commit)
        said.add((path, predictions))
    elif logits != result.sha256.logits and _is_tested_alike(then, result) and (path, predictions, logits) not in said:
        said.add((path, predictions, logits))
        other = f"{logits}, by the same weights and numerics, as commit {commit[:_SHORT]} has it"
        yield broken(f"{path}, sha256.logits.npy", result.sha256.logits, other)


def _removed(path: str, then: dict[str, Any], commit: str) -> Finding:
    return note(f"{path}: no such result is here; commit {commit[:_SHORT]} has one, {_value(then)}")


def _may_differ(content: bytes, result: Evaluation) -> bool:
    """Whether bytes name the training code of a result, and not its predictions and logits as `evaluate` writes them.

    This saves time only: most versions need not be parsed.
    """
    same = (f'"predictions": "{result.predictions}"', f'"logits.npy": "{result.sha256.logits}"')
    is_same = all(part.encode() in content for part in same)
    return result.run.provenance.code.sha256.encode() in content and not is_same


def _content(content: bytes, path: str) -> dict[str, Any]:
    """A result of a commit; empty for what is none."""
    try:
        found = parse_json(content, path, "evaluate")
    except StageError:
        return {}
    return found if isinstance(found, dict) else {}


def _made_from(result: dict[str, Any]) -> list[Any]:
    """Cell, seed, code, settings and data of training and test."""
    run, keys = _of(result, "run"), ("cell", "budget", "seed", "config", "data")
    code = [_of(_of(one, "provenance"), "code").get("sha256") for one in (run, result)]
    return [*code, result.get("testing"), *(run.get(key) for key in keys)]


def _of(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def _value(then: dict[str, Any]) -> str:
    """A commit's accuracy in words."""
    share = then.get("accuracy")
    return f"{100 * share:.2f} %" if isinstance(share, int | float) else "an accuracy that cannot be read"


def _is_tested_alike(then: dict[str, Any], result: Evaluation) -> bool:
    """Whether a committed result is of the same weights, tested with the same numerics."""
    same_weights = _of(then, "run").get("binding") == result.run.binding
    return same_weights and then.get("numerics") == result.content()["numerics"]


def _differs(path: Path, result: Evaluation, then: dict[str, Any], commit: str) -> Iterator[Finding]:
    """The same weights and numerics give the same predictions; otherwise both results may be honest."""
    run, value = _of(then, "run"), _value(then)
    if _is_tested_alike(then, result):
        other = f"{value}, by the same weights and numerics, as commit {commit[:_SHORT]} has it"
        yield broken(f"{path}, predictions", f"{result.percent:.2f} % right", other)
        return
    if run.get("binding") == result.run.binding:
        how = "of the same weights, tested on another device or with other versions"
    elif run.get("numerics") == result.content()["run"]["numerics"]:
        how = "trained on the same device and versions, which repeat a training"
    else:
        how = "trained on another device or with other versions"
    what = f"git holds another result of the same code, settings and data: commit {commit[:_SHORT]}, {value}"
    yield note(f"{path}: {what} instead of {result.percent:.2f} %, {how}")
