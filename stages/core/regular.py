"""Reading a file that somebody else wrote: a regular one alone, of a bounded size, and none out of the repository.

A name may stand for a FIFO, a device, a folder, a link to any file of the machine, or for a file of terabytes. Whoever
opens it unasked waits for ever, or reads what is none of its business. So `refusal` says why a path is not to be read,
and `read_regular` reads it only where there is no such reason.
"""

import os
import re
import stat
from pathlib import Path

from stages.core.errors import CorruptFileError, MissingFileError

LARGEST_TEXT = 1 << 24  # bytes of a JSON file; a result of 10000 images has 0.2 MB
LARGEST_PAGE = 1 << 26  # bytes of a page; a book of 58 trainings has 3.4 MB
LARGEST_FILE = 1 << 33  # bytes of a file that is hashed; the weights of VGG19 have 0.6 GB
_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")  # where DVC keeps a file, by its md5
_BIG_FOLDERS = ("raw", "processed", "runs", "predictions")  # of data/, which a user may keep on another disk
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def refusal(path: Path | str, largest: int = LARGEST_FILE) -> str | None:
    """Why there is no regular file at `path`, of at most `largest` bytes and in the repository; None where there is."""
    try:
        found = os.stat(path)  # noqa: PTH116 - Path.stat does not take all that a record may hold
    except FileNotFoundError:
        return "a link that leads nowhere" if os.path.islink(path) else "no such file"  # noqa: PTH114
    except (OSError, ValueError) as error:  # a name with NUL, or too long; a link to itself; no permission
        return f"a path that cannot be looked up ({getattr(error, 'strerror', None) or error})"
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            return name
    if found.st_size > largest:
        return f"a file of {found.st_size} bytes, more than the {largest} that are read"
    return outside(path)


def outside(path: Path | str) -> str | None:
    """Why a path below the working folder is in truth not there: a link leads out of it. None where it is."""
    root, place = os.getcwd(), os.path.abspath(path)  # noqa: PTH100, PTH109 - links must stay what they are
    if not is_below(place, root):
        return None  # the user named another folder
    target = os.path.realpath(path)
    if target == place or _DVC_CACHE.search(target):
        return None
    homes = [root, *(f"{root}/data/{name}" for name in _BIG_FOLDERS)]
    if any(is_below(target, os.path.realpath(home)) for home in homes):
        return None
    return "a link that leads out of the repository"


def is_inside(path: Path | str) -> bool:
    """Whether a path that a record names is one below the working folder."""
    return not os.path.isabs(path) and ".." not in Path(path).parts and not outside(path)  # noqa: PTH117


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_there(path: Path | str) -> bool:
    """Whether there is anything at `path`, be it what it should be or not: only then is its absence no answer."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a name with NUL
        return False


def is_regular(path: Path | str) -> bool:
    """Whether there is a regular file, in the repository and of a size that can be hashed."""
    return refusal(path) is None


def read_regular(path: Path | str, made_by: str, largest: int = LARGEST_TEXT) -> bytes:
    """The bytes of a regular file. Raises MissingFileError, or CorruptFileError for anything else than one."""
    if found := refusal(path, largest):
        if found == "no such file":
            raise MissingFileError(path, made_by)
        raise CorruptFileError(path, found, "a regular file in the repository")
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise CorruptFileError(path, f"a file that cannot be read ({error.strerror})", "one that can") from error
    if len(content) > largest:
        raise CorruptFileError(path, f"more than {largest} bytes", "a file that does not grow while it is read")
    return content
