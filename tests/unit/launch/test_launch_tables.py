"""How often the tables are made while a launch runs, and that a failure of theirs ends nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.launch.tables import Tables, has_results
from stages.launch.work import Command


class Fake:
    """A pipeline whose tables take so long, and are recorded when they end."""

    def __init__(self, command: str) -> None:
        self.text, self.recorded = command, 0

    def command(self, stage: str) -> Command:
        return Command(stage, self.text, ())

    @contextmanager
    def recording(self, stage: str) -> Iterator[None]:
        yield
        self.recorded += 1


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache/launch").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(("took", "pause"), [(1.0, 20.0), (8.0, 160.0), (90.0, 600.0)])
def test_they_take_a_twentieth_of_the_time_and_come_every_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, took: float, pause: float
) -> None:
    now = {"time": 1000.0}
    monkeypatch.setattr("stages.launch.tables.time.monotonic", lambda: now["time"])
    tables = Tables(Fake("true"), "quick")  # type: ignore[arg-type]
    assert tables.due()
    monkeypatch.setattr(tables, "_run", lambda: now.update(time=1000.0 + took))
    tables.refresh()
    now["time"] += pause - 0.1
    assert not tables.due()
    now["time"] += 0.2
    assert tables.due()


def test_a_failure_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = Fake("""python -c 'import sys; print("first"); sys.exit("no such table")'""")
    tables = Tables(pipeline, "quick")  # type: ignore[arg-type]
    tables.refresh()
    log = ".cache/launch/aggregate-tables@quick.log"
    assert capsys.readouterr().err == f"warning: tables not made: no such table ({log})\n"
    assert pipeline.recorded == 0


def test_without_results_there_are_no_tables(folder: Path) -> None:
    assert not has_results("quick")
    (folder / "reports/quick/cells/mnist").mkdir(parents=True)
    (folder / "reports/quick/cells/mnist/vgg11-s0.json").write_text("{}")
    assert has_results("quick")
