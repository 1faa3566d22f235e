"""Atomic file writes (temporary file beside the target, fsync, rename), JSON as we write it, and hashes."""

import hashlib
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.errors import CorruptFileError, StageError, shown

_CHUNK = 1 << 20  # bytes read at a time when hashing
_DEPTH = 64  # of the objects and lists in a JSON file
_DIGITS = 20  # of an integer of 64 bits, its sign included


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block ends without an exception.

    The folder is made if it is missing. After an exception the temporary file is removed and `path` is unchanged. The
    file has the umask's mode, whatever mode the library that writes it sets. StageError for a device, which root would
    replace by a file.
    """
    path = Path(path)
    _refuse_device(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{path.suffix}")
    mode = _touched(temporary)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def folder_path(path: Path) -> Iterator[Path]:
    """As `atomic_path`, but in a folder of its own, for a library that writes temporary files beside its output.

    No fsync: after a loss of power the file may be torn, so its reader must check a checksum.
    """
    _refuse_device(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        mode = _touched(temporary)
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)


def _refuse_device(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return  # nothing is there, or writing says why it cannot be
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise StageError(f"{path} is a device, a FIFO or a socket, and is not replaced by a file; name another path")


def _touched(path: Path) -> int:
    """Create an empty file, which must not exist; returns its mode, which is the umask's."""
    path.touch(exist_ok=False)
    return stat.S_IMODE(path.stat().st_mode)


def sweep(path: Path) -> None:
    """Remove temporary files that killed writers of `path` left. No process may be writing it now."""
    for torn in path.parent.glob(f".{path.name}.*"):
        if torn.is_dir():
            shutil.rmtree(torn)
        else:
            torn.unlink()


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises StageError when that fails, as on a full disk."""
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise StageError(f"{path} cannot be written ({error}); mend that, and start again") from error


def write_text(path: Path | str, content: str) -> None:
    """Write `content` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` as JSON; NaN and infinities are refused, since JSON has none (ValueError)."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """The text of every JSON file of ours: what was read from one gives its bytes again."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path | str, made_by: str) -> Any:
    """Read a JSON file. `made_by` names the stage or command that makes it, for the errors.

    Raises MissingFileError, or CorruptFileError for what `parse_json` refuses, and for anything but a regular file.
    """
    from stages.core.regular import read_regular  # here: this module is one that a training's fingerprint cuts off

    return parse_json(read_regular(path, made_by), path, made_by)


def parse_json(content: bytes, path: Path | str, made_by: str) -> Any:
    """The value of the bytes of the JSON file at `path`.

    Raises CorruptFileError for what is not JSON, cannot be written again or is read differently by others: numbers that
    are not finite, integers of more than 64 bits, lone surrogates, keys that stand twice, a deep nesting.
    """
    try:
        text = content.decode()
        found = json.loads(
            text, parse_constant=_finite, parse_float=_finite, parse_int=_integer, object_pairs_hook=_each_key_once
        )
        if "\\ud" in text.lower():  # an escaped surrogate, which only as one of a pair is a character
            json.dumps(found, ensure_ascii=False).encode()
        _check_depth(found)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(path, f"not JSON ({error})", f"the JSON that {made_by} writes") from error
    return found


def _finite(text: str) -> float:
    """The number that a JSON file has. ValueError for NaN, infinities, and decimals beyond them (1e999)."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not finite")
    return number


def _integer(text: str) -> int:
    """An integer of a JSON file. ValueError for one of more than 64 bits, which arithmetic elsewhere does not hold."""
    if len(text) > _DIGITS or not -(1 << 63) <= (number := int(text)) < 1 << 63:
        raise ValueError(f"an integer of {len(text)} digits")
    return number


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file. ValueError for a key that stands twice: readers differ in which of them they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {shown(twice, 60)} stands twice")
    return found


def _check_depth(tree: Any) -> None:
    """ValueError for a nesting that is deeper than any file of ours."""
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(_DEPTH):
        if not level:
            return
        inner = [value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer)]
        level = [value for value in inner if isinstance(value, dict | list)]
    raise ValueError(f"nested deeper than {_DEPTH}")


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON: keys sorted, no spaces. NaN and infinities are refused (ValueError)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def json_hash(content: Any, algorithm: str = "md5") -> str:
    """`file_hash` of the file that `write_json` makes of a content."""
    return hashlib.new(algorithm, json_text(content).encode(), usedforsecurity=False).hexdigest()


def file_hash(path: Path | str, algorithm: str = "md5") -> str:
    """Hexadecimal hash of a file's bytes. md5 is the default because `dvc.lock` holds md5."""
    found = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their dotted names; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat
