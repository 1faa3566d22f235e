"""Output folders that hold what was made now and nothing older."""

from collections.abc import Mapping
from pathlib import Path

from stages.core.errors import ParamError
from stages.core.files import write_bytes

_OURS = (".md", ".csv", ".tex", ".png", ".pdf", ".svg")  # what this stage writes; nothing else in a folder is touched


def check_folders(**folders: Path) -> None:
    """Refuse (ParamError) a folder that the working directory lies in: the markdown there is not ours to remove."""
    for option, folder in folders.items():
        if Path.cwd().is_relative_to(folder.resolve()):
            allowed = "a folder of its own, since older reports in it are removed"
            raise ParamError(f"--{option.replace('_', '-')}", str(folder), allowed)


def rebuild(folders: Mapping[Path, Mapping[str, bytes | str]], files: Mapping[Path, bytes | str] | None = None) -> None:
    """Write every file of every folder, each whole or not at all, then remove the folders' older reports.

    `files` are written too, and nothing beside them is touched.
    """
    written = set()
    for path, content in (files or {}).items():
        write_bytes(path, content.encode() if isinstance(content, str) else content)
    for folder, contents in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(folder / name, content.encode() if isinstance(content, str) else content)
            written.add((folder / name).resolve())
    for folder in folders:
        for file in folder.iterdir():
            if file.is_file() and file.suffix in _OURS and file.resolve() not in written:
                file.unlink()
