"""The fingerprint of the code that makes a number: what of the sources can change it, and one hash of that.

The modules that a cell's training (testing) imports, directly or not, are found in the sources, without running them;
of the families of networks, that of the cell alone. Each module counts by the hash of its syntax tree without comments,
docstrings and positions, so that neither a comment nor another network makes a result stale. Modules that are imported
but cannot change a number are cut off, each with its reason (`CUT`); a module behind one is not followed.

What a fingerprint does not see: PyTorch, torchvision and numpy (their versions are in the run record), environment
variables, and the processor.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from stages.core.errors import StageError
from stages.core.files import digest
from stages.engine.networks import families
from stages.records.record import Count, Section, Sha256

SCHEME = 1  # of the syntax tree's serialisation; a new one makes every result stale
Kind = Literal["train", "evaluate"]
Read = Callable[[str], str | None]  # the text of a source by its path; None where there is no such file

ROOTS: dict[Kind, tuple[str, ...]] = {
    "train": ("stages/config/settings.py", "stages/engine/training.py"),
    "evaluate": (
        "stages/config/settings.py",
        "stages/evaluate/prediction.py",
        "stages/evaluate/metrics.py",
    ),
}
FAMILY = "stages/engine/networks/{family}/__init__.py"
FAMILY_MODULE = "stages/engine/networks/{family}.py"
CUT = {
    "stages/core/errors.py": "builds the messages of refusals; what is refused makes no number",
    "stages/core/files.py": "reads and writes files whole; what is in them is checked by hash",
    "stages/core/filenames.py": "names files",
    "stages/core/progress.py": "prints, and returns nothing that is computed with",
    "stages/engine/memory.py": "keeps freed memory with the process; bits do not depend on it",
    "stages/evaluate/chance.py": "judges an accuracy; that follows from labels and hits, which a result holds",
}


class Fingerprint(Section):
    """One hash over modules, and the hash of each by its path."""

    scheme: Count
    sha256: Sha256
    modules: dict[str, Sha256]


def fingerprint(kind: Kind, family: str, read: Read | None = None) -> Fingerprint:
    """The fingerprint of a family's training or testing, of the sources that `read` gives (by default the files here).

    Raises StageError for a source that is missing or is not Python.
    """
    text = read or _on_disk
    modules = {path: _module(path, text).sha256 for path in sorted(closure(kind, family, text))}
    return Fingerprint(scheme=SCHEME, sha256=digest({"scheme": SCHEME, "modules": modules}), modules=modules)


def closure(kind: Kind, family: str, read: Read | None = None) -> set[str]:
    """The paths of the modules that the training (testing) of a family's cells imports, those cut off left out."""
    text = read or _on_disk
    roots = [*ROOTS[kind], family_path(family, text)]
    found = set(roots).union(*(_files(path.removesuffix(".py").replace("/", "."), text) for path in roots))
    waiting = sorted(found)
    while waiting:
        new = _imports(waiting.pop(), text) - found - CUT.keys()
        found |= new
        waiting += new
    return found


def family_path(family: str, read: Read) -> str:
    """The file of a family's settings: its package's, which is also named where there is neither, or its module."""
    package, module = (path.format(family=family) for path in (FAMILY, FAMILY_MODULE))
    return module if read(package) is None and read(module) is not None else package


def loaded_outside(kind: Kind, family: str, allowed: Iterable[str]) -> list[str]:
    """The `stages` modules in this process that are not in the closure, nor cut off, nor below a path in `allowed`.

    The settings of other families are loaded too: params.yaml is checked with them.
    """
    others = {family_path(other, _on_disk) for other in families()}
    known, root = closure(kind, family) | CUT.keys() | others, Path.cwd().resolve()
    files = [Path(module.__file__) for name, module in list(sys.modules.items()) if _ours(name) and module.__file__]
    paths = {_below(root, file.resolve()) for file in files}
    return sorted(path for path in paths - known if not any(path.startswith(start) for start in allowed))


def _below(root: Path, file: Path) -> str:
    """A file's path below the root; its whole path where it is not there, as no closure has one."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()


def _ours(module: str) -> bool:
    return module.partition(".")[0] == "stages"


def _on_disk(path: str) -> str | None:
    file = Path(path)
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else None
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not UTF-8 ({error})") from None


def _imports(path: str, read: Read) -> set[str]:
    """The files under stages/ that a file's own imports run, wherever in it they stand, packages' files included."""
    found = _module(path, read)
    if found.relative:
        raise StageError(f"{path}, line {found.relative}: a relative import; allowed: absolute imports")
    return set[str]().union(*(_files(name, read) for name in found.imports))


def _files(module: str, read: Read) -> set[str]:
    """The files that importing a module runs: its own and those of the packages that it is in."""
    parts = module.split(".")
    starts = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return {file for start in starts for file in (f"{start}.py", f"{start}/__init__.py") if read(file) is not None}


class _Module(NamedTuple):
    """What a source contributes: the `stages` names that it imports, and the hash of its tree without comments.

    `relative` is the line of its first relative import.
    """

    imports: frozenset[str]
    relative: int | None
    sha256: str


def _module(path: str, read: Read) -> _Module:
    text = read(path)
    if text is None:
        raise StageError(f"{path} is missing; the code of a number is incomplete (git checkout {path})")
    try:
        return _parse(text.removeprefix("\ufeff"))
    except SyntaxError as error:
        raise StageError(f"{path}, line {error.lineno}: not Python ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; a nesting that the parser cannot take
        raise StageError(f"{path}: not Python ({error})") from None


@cache  # several families and commits have most sources in common
def _parse(text: str) -> _Module:
    tree = ast.parse(text)
    names, relative = set[str](), list[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            relative.append(node.lineno)
    sha256 = hashlib.sha256(serialised(tree).encode()).hexdigest()
    return _Module(frozenset(filter(_ours, names)), min(relative, default=None), sha256)


def serialised(node: object) -> str:
    """A syntax tree as text: node types and fields, without docstrings, positions and empty fields.

    Ours, since `ast.dump` differs between Python's versions: newer ones add fields, which are empty for older sources.
    Constants are in ASCII: which characters `repr` escapes depends on the Unicode version.
    """
    if isinstance(node, ast.AST):
        fields = []
        for name in sorted(node._fields):
            value = getattr(node, name, None)
            if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                value = _without_docstring(value)
            elif name == "values" and isinstance(node, ast.JoinedStr):
                value = [part for part in node.values if not _is_empty_text(part)]
            if name in ("type_comment", "kind", "ctx", "type_ignores") or value is None or value == []:
                continue
            fields.append(f"{name}={serialised(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(serialised, node))}]"
    return f"{type(node).__name__}:{node!a}"


def _is_empty_text(node: ast.expr) -> bool:
    """Whether a part of an f-string is the empty text that Python 3.12 has behind a nested format."""
    return isinstance(node, ast.Constant) and node.value == ""


def _without_docstring(body: object) -> object:
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return body[1:]
    return body
