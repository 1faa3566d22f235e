"""The mirror process as its stage sees it: JSON lines in and out, and a limit to every wait."""

import contextlib
import json
import signal
import subprocess
import sys
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

_REAP = 1.0  # seconds that a killed process may take to be gone; one that hangs in the kernel is left behind


class MirrorProcess:
    """A running `stages.track.mirror`. Its pipe holds 64 KiB, so that a thread writes to it, from a queue."""

    def __init__(self) -> None:
        self._events: SimpleQueue[str | None] = SimpleQueue()
        self._answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stages.track.mirror"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the stage alone; the mirror sees its input end, and says so
        )
        Thread(target=self._write, daemon=True).start()
        Thread(target=self._read, daemon=True).start()

    def send(self, event: dict[str, Any]) -> None:
        """Queue an event."""
        self._events.put(json.dumps(event) + "\n")

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """The next answer, or None when there is none within `timeout` seconds."""
        try:
            return self._answers.get(timeout=timeout)
        except Empty:
            return None

    def end(self, timeout: float) -> None:
        """End its input after what is queued, and the process too if it has not ended within `timeout` seconds."""
        self._events.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP)

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._process.stdin or contextlib.nullcontext() as pipe:
            while pipe and (line := self._events.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _read(self) -> None:
        with self._process.stdout or contextlib.nullcontext() as pipe:
            for line in pipe or ():
                with contextlib.suppress(json.JSONDecodeError):  # not ours: what Python itself prints as it starts
                    self._answers.put(json.loads(line))
        status = self._process.wait()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        self._answers.put({"error": f"the mirror process ended early ({how})"})
