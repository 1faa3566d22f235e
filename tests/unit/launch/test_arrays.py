"""Arrays that come out with other bytes on this machine than those of the recorded results."""

from pathlib import Path
from typing import Any

import pytest

from stages.config.cells import CellKey
from stages.core.errors import StageError
from stages.launch import __main__ as launch
from stages.launch.recorded import Locked
from stages.records.evaluation import result_path, results_folder
from tests.shipped import shipped_params
from tests.unit.report.conftest import other_array, synthetic

TRAIN = "data/processed/quick/cifar10/train"
BEFORE, AFTER = ({TRAIN: md5 * 32} for md5 in "ab")


@pytest.mark.parametrize("folder", ["data/raw", "data/raw/mnist", "./data/raw/"])
def test_raw_data_that_dvc_removes_first_are_refused_as_their_own_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASETS_FOLDER", folder)
    with pytest.raises(StageError, match="is where the pipeline keeps its raw data, and DVC removes it before it is"):
        launch.refuse_own_output(["mnist"])


def test_archives_beside_the_raw_data_are_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC removes the data sets' own folders alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/cifar-10-binary.tar.gz").touch()
    monkeypatch.setenv("DATASETS_FOLDER", "data/raw")
    launch.refuse_own_output(["mnist", "cifar10"])


@pytest.mark.parametrize("folder", ["", "elsewhere", "/data/raw"])
def test_another_folder_of_raw_data_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASETS_FOLDER", folder)
    launch.refuse_own_output(["mnist", "cifar10"])
    monkeypatch.setenv("DATASETS_FOLDER", "data/raw")
    launch.refuse_own_output([])  # nothing is downloaded, so nothing is removed


class Recorded:
    """DVC's side, as far as it says what a preprocess stage made."""

    def __init__(self, outs: dict[str, str]) -> None:
        self.outs = outs

    def locked(self, _: str) -> Locked:
        return Locked({}, {}, self.outs)


class After(Recorded):
    """What DVC has once preprocess has run."""

    def __init__(self) -> None:
        super().__init__(AFTER)


@pytest.fixture
def preprocessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A working directory in which preprocess makes other arrays than dvc.lock has."""
    monkeypatch.chdir(tmp_path)
    launch.LOCK_FILE.write_text("before")
    monkeypatch.setattr(launch, "dvc", lambda *_: launch.LOCK_FILE.write_text("after"))
    monkeypatch.setattr("stages.launch.pipeline.Pipeline", After)


@pytest.mark.usefixtures("preprocessed")
def test_results_of_other_arrays_are_not_given_up_unasked() -> None:
    with pytest.raises(StageError) as refused:
        launch.make_arrays(Recorded(BEFORE), "quick", ["cifar10"], {"cifar10"})  # type: ignore[arg-type]
    assert refused.value.message.startswith(
        f"preprocess@quick-cifar10: {TRAIN} differs from the arrays of the recorded "
    )
    assert launch.LOCK_FILE.read_text() == "before"


@pytest.mark.parametrize(
    ("before", "done"), [(BEFORE, set()), (BEFORE, {"mnist"}), (AFTER, {"cifar10"}), ({}, {"cifar10"})]
)
@pytest.mark.usefixtures("preprocessed")
def test_without_results_or_with_the_same_arrays_it_goes_on(before: dict[str, str], done: set[str]) -> None:
    found = launch.make_arrays(Recorded(before), "quick", ["cifar10"], done)  # type: ignore[arg-type]
    assert found.locked("").outs == AFTER
    assert launch.LOCK_FILE.read_text() == "after"


def test_augmented_copies_of_another_processor_are_said_and_results_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    params, key, cells = shipped_params(), CellKey("cells", "mnist", "resnet18"), results_folder("quick")
    results = [synthetic(params, "quick", key, 0), other_array(synthetic(params, "quick", key, 1))]
    for result in results:
        result.write(result_path(cells, key, result.run.seed))
    before, after = ({path: arrays.md5} for path, arrays in (result.run.training_arrays for result in results))
    samples = {"reports/quick/samples/mnist": "a" * 32}  # a picture of the copies

    class Made(Recorded):
        def __init__(self) -> None:
            super().__init__(after)

    monkeypatch.setattr(launch, "dvc", lambda *_: None)
    monkeypatch.setattr("stages.launch.pipeline.Pipeline", Made)
    found = launch.make_arrays(Recorded(before | samples), "quick", ["mnist"], {"mnist"})  # type: ignore[arg-type]
    assert found.locked("").outs == after
    assert "mnist: augmented copies have other bytes than those of the recorded results" in capsys.readouterr().err
