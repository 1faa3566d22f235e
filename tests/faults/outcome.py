"""What became of a fault: how often it was thrown, and what did not survive it."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """A line of the table. `lost` are the trials that ended otherwise than they should, with the reason."""

    kind: str
    fault: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    @contextmanager
    def trial(self, name: str) -> Iterator[None]:
        """Count one trial; whatever it raises is a loss."""
        self.tried += 1
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(str(error).split())[:200]
            self.lost.append(f"{name}: {type(error).__name__}: {said} ({where.filename}:{where.lineno})")

    @property
    def survived(self) -> int:
        """How many trials ended as they should."""
        return self.tried - len(self.lost)


def in_child(action: Callable[[], object]) -> None:
    """Run something in a forked process. Raises RuntimeError for a signal that ends it, or for what it raises.

    A parser in C that exceeds its stack ends its whole process.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            action()
            os._exit(0)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]} ({where.filename}:{where.lineno})"
            os.write(writing, said.encode(errors="replace"))
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        raise RuntimeError(f"ended by signal {-status}")
    if status:
        raise RuntimeError(said)


def check(holds: object, said: str) -> None:
    """Raise AssertionError with these words unless it holds. A plain assert is optimised away by PYTHONOPTIMIZE."""
    if not holds:
        raise AssertionError(said)
