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

from stages.core.errors import CorruptFileError, MissingFileError, StageError

_CHUNK = 1 << 20  # bytes read at a time when hashing


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block ends without an exception.

    The folder is made if it is missing. After an exception the temporary file is removed and `path` is unchanged. The
    file has the umask's mode, whatever mode the library that writes it sets.
    """
    path = Path(path)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        mode = _touched(temporary)
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)


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

    Raises MissingFileError, or CorruptFileError for what is not JSON or cannot be written again: numbers that are
    not finite, integers of thousands of digits, lone surrogates, a nesting deeper than Python's stack.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(path, made_by)
    try:
        text = path.read_bytes().decode()
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
        if "\\ud" in text.lower():  # an escaped surrogate, which only as one of a pair is a character
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(path, f"not JSON ({error})", f"the JSON that {made_by} writes") from error
    return content


def _finite(text: str) -> float:
    """The number that a JSON file has. ValueError for NaN, infinities, and decimals beyond them (1e999)."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not finite")
    return number


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
