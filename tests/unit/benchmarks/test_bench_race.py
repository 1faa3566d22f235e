"""Contenders in processes: all take part, and one that fails ends the race with one line."""

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.race import WARM_UP, Entrant, Steps, race
from stages.core.errors import StageError


def counter(folder: Path, name: str) -> Callable[[], Steps]:
    """A contender that leaves behind what happened to it."""

    def steps() -> Steps:
        taken = 0
        try:
            while True:
                taken += 1
                yield 1000
        finally:
            with (folder / name).open("a") as file:
                file.write(f"{os.getpid()} {taken}\n")

    return steps


def broken() -> Callable[[], Steps]:
    os._exit(3)


def test_every_contender_steps_in_its_own_process_in_each_repetition(tmp_path: Path) -> None:
    entrants = {"pair": Entrant((partial(counter, tmp_path, "a"), partial(counter, tmp_path, "b")))}
    entrants["single"] = Entrant((partial(counter, tmp_path, "c"),), share=0.5)
    rates = race(entrants, 2, 0.001)
    assert {name: len(values) for name, values in rates.items()} == {"pair": 2, "single": 2}
    assert all(rate > 0 for values in rates.values() for rate in values)
    lines = {name: [line.split() for line in (tmp_path / name).read_text().splitlines()] for name in "abc"}
    assert all(len(pieces) == 2 and pieces[0][0] == pieces[1][0] for pieces in lines.values())
    assert len({pieces[0][0] for pieces in lines.values()} | {str(os.getpid())}) == 4
    assert all(int(taken) > WARM_UP for pieces in lines.values() for _, taken in pieces)
    assert multiprocessing.active_children() == []


def test_a_contender_that_ends_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError) as error:
        race({"ours": Entrant((partial(counter, tmp_path, "a"),)), "theirs": Entrant((broken,))}, 1, 0.001)
    assert error.value.message == "theirs: its process ended with status 3, see above"
    assert multiprocessing.active_children() == []
