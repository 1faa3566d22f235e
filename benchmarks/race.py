"""Contenders in processes of their own that take turns, so that all see the same machine, one at a time.

A contender's settings (threads, deterministic mode, DataLoader workers) stay in its process. In each repetition every
entrant has one timed piece, in an order that turns round each time: what changes on the machine over minutes meets all.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.rates import per_second
from stages.core.errors import StageError

WARM_UP = 3  # steps before each timed piece; a DataLoader has its workers started and batches waiting by then

Steps = Generator[int, None, None]  # each `next` is one step, and gives how many images (or operations) it was
Contender = Callable[[], Callable[[], Steps]]  # called in its process: gets ready, and gives what starts a piece


class Entrant(NamedTuple):
    """One line of a comparison: contenders that run at the same time, and their share of a piece's seconds."""

    contenders: tuple[Contender, ...]
    share: float = 1.0


def race(entrants: Mapping[str, Entrant], repetitions: int, seconds: float) -> dict[str, list[float]]:
    """Time every entrant once per repetition; returns its rates, summed over its contenders.

    Contenders must be picklable. Raises StageError when the process of one ends.
    """
    with ExitStack() as stack:
        turns: dict[str, Callable[[], float]] = {}
        runners: list[Runner] = []
        for name, entrant in entrants.items():
            group = [stack.enter_context(Runner(name, contender)) for contender in entrant.contenders]
            runners += group
            turns[name] = partial(_turn, group, seconds * entrant.share)
        for runner in runners:
            runner.receive()  # all are ready: nobody loads or builds while another is timed
        return alternate(turns, repetitions)


def alternate(turns: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    """Call every turn once per repetition, there and back; returns what each gave, in the order of repetitions."""
    names = list(turns)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for repetition in range(repetitions):
        for name in names if repetition % 2 == 0 else reversed(names):
            rates[name].append(turns[name]())
    return rates


class Runner:
    """A contender in a process, which waits without using the machine until it is its turn."""

    def __init__(self, name: str, contender: Contender) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(contender, other))
        self.process.start()
        other.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pipe.close()
        self.process.join(timeout=10.0)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def send(self, message: Any) -> None:
        """Send to the process."""
        self._checked(partial(self.pipe.send, message))

    def receive(self) -> Any:
        """Wait for what the process says next."""
        return self._checked(self.pipe.recv)

    def _checked(self, exchange: Callable[[], Any]) -> Any:
        try:
            return exchange()
        except (EOFError, OSError):
            self.process.join()
            status = self.process.exitcode
            raise StageError(f"{self.name}: its process ended with status {status}, see above") from None


def _turn(group: list[Runner], seconds: float) -> float:
    """Let contenders warm up, start their timed pieces together, and wait until all have tidied up."""
    for runner in group:
        runner.send(seconds)
    for runner in group:
        runner.receive()
    for runner in group:
        runner.send("go")
    total = sum(runner.receive() for runner in group)
    for runner in group:
        runner.receive()
    return total


def _work(contender: Contender, pipe: Connection) -> None:
    """What a contender's process does until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the race, which closes the pipe
    start = contender()
    try:
        pipe.send("ready")
        while True:
            seconds = pipe.recv()
            steps = start()
            for _ in range(WARM_UP):
                next(steps)
            pipe.send("warm")
            pipe.recv()
            pipe.send(per_second(steps, seconds, time.perf_counter))
            steps.close()  # and with it a DataLoader's workers
            pipe.send("done")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
