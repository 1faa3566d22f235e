"""Progress of a launch: a live table on a terminal, plain lines in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stages.core.progress import duration, on_terminal, say
from stages.launch.work import Result


class View:
    """Running, done, left and failed units, and how long the rest takes.

    `expected` are the seconds that each unit may take, or, before anything has run, what they are beside each other.
    Events come from Dask's thread, results from the launch's own.
    """

    def __init__(self, expected: dict[str, float]) -> None:
        self.expected = expected
        self.slots = 1  # units that run at once
        self.dashboard = ""
        self.running: dict[str, dict[str, Any]] = {}
        self.done: list[str] = []
        self.failed: dict[str, str] = {}
        self.took = self.foreseen = 0.0  # seconds of the units that are done, and what was expected of them
        self.begun = time.monotonic()
        self._lock = Lock()
        self._live: Live | None = None

    @contextmanager
    def shown(self, dashboard: str) -> Iterator[None]:
        """Show it meanwhile."""
        self.dashboard = dashboard
        say(f"{len(self.expected)} to run, {self.slots} at a time; Dask's dashboard: {dashboard}")
        if not on_terminal():
            yield
            return
        console = Console(stderr=True)
        live = Live(get_renderable=self._table, console=console, refresh_per_second=2, transient=True)
        live.start()
        self._live = live
        try:
            yield
        finally:
            self._live = None
            with suppress(OSError):  # the terminal may have been closed meanwhile
                live.stop()

    def on_event(self, event: dict[str, Any]) -> None:
        """Take what a worker says: that it is refused, that a stage begins, or that an epoch is over."""
        if "refused" in event:
            self._say(f"warning: {event['refused']} takes no part: {event['why']}")
            return
        unit = event["unit"]
        with self._lock:
            shown = self.running.setdefault(unit, {"since": time.monotonic()})
            if "stage" in event and shown.get("stage") not in (None, event["stage"]):
                shown = self.running[unit] = {"since": shown["since"]}
            shown |= event
        if "epoch" in event and not self._live:
            rate = f"{event['images_per_second']:.0f} images/s"
            say(f"{shown['stage']}: epoch {event['epoch']}/{event['epochs']}, {rate}")

    def finished(self, result: Result) -> None:
        """Count a unit that is done and recorded, or has failed, and say so."""
        with self._lock:
            shown = self.running.pop(result.unit, {"since": self.begun})
            if result.failure:
                self.failed[result.unit] = result.failure
            else:
                self.done.append(result.unit)
        took = time.monotonic() - shown["since"]
        if not result.failure:
            self.took, self.foreseen = self.took + took, self.foreseen + self.expected[result.unit]
        what = f"failed: {result.failure}" if result.failure else f"done in {duration(took)}"
        self._say(f"[{len(self.done) + len(self.failed)}/{len(self.expected)}] {result.unit} {what}{self._time_left()}")

    def remaining(self) -> int:
        """How many units have not ended."""
        with self._lock:
            return len(self.expected) - len(self.done) - len(self.failed)

    def seconds_left(self) -> float | None:
        """Seconds until the last unit ends, if that is known: the rest shared among the slots, or the longest alone."""
        with self._lock:
            over = {*self.done, *self.failed}
            gone = {unit: time.monotonic() - shown["since"] for unit, shown in self.running.items()}
        if not self.done:
            return None
        slower = self.took / self.foreseen  # than a training alone on the machine, and its evaluation comes on top
        left = {unit: seconds * slower for unit, seconds in self.expected.items() if unit not in over}
        rest = [max(0.0, seconds - gone.get(unit, 0.0)) for unit, seconds in left.items()]
        return max(sum(rest) / max(1, self.slots), *rest) if rest else 0.0

    def _time_left(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f", {duration(left)} left"

    def _say(self, line: str) -> None:
        try:
            if self._live:
                self._live.console.print(Text(line))
                return
        except OSError:
            self._live = None
        say(line)

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for heading in ("running", "epoch", "images/s", "for"):
            table.add_column(heading, justify="left" if heading == "running" else "right")
        with self._lock:
            rows = sorted(self.running.items(), key=lambda item: item[1]["since"])
        for unit, shown in rows:
            epoch = f"{shown['epoch']}/{shown['epochs']}" if "epoch" in shown else ""
            rate = f"{shown['images_per_second']:.0f}" if "images_per_second" in shown else ""
            table.add_row(shown.get("stage", unit), epoch, rate, duration(time.monotonic() - shown["since"]))
        waiting = len(self.expected) - len(self.done) - len(self.failed) - len(rows)
        counts = f"{len(self.done)} done, {len(rows)} running, {waiting} waiting, {len(self.failed)} failed"
        return Group(table, Text(f"{counts}{self._time_left()} - {self.dashboard}"))
