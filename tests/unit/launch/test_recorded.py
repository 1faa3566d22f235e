"""When a training is done by what is recorded, without its weights: result, dvc.lock and today's spec agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.config.params import Params, Training
from stages.launch.recorded import Entries, Locked, dependencies, trained_with, why_left
from stages.records.copies import PreprocessEntry
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, result_path, results_folder
from stages.records.spec import Spec
from tests.shipped import shipped_params
from tests.unit.report.conftest import other_array, sha, short, spec, synthetic


@pytest.fixture(scope="module")
def params() -> Params:
    return shipped_params()


class Recorded:
    """A result in the working directory, and what dvc.lock would have of it."""

    def __init__(self, params: Params) -> None:
        self.training = params.trainings()[0]
        self.spec = spec(params, "quick", self.training.key)
        self.path = result_path(results_folder("quick"), self.training.key, self.training.seed)
        self.write(synthetic(params, "quick", self.training.key, 0))

    def write(self, result: Evaluation) -> None:
        result.write(self.path)
        run = result.run
        testing = {"testing": self.spec.testing.model_dump(), "code.evaluate": self.spec.code.evaluate}
        (weights,) = [(path, found.md5) for path, found in result.provenance.inputs.items() if found.has("run.json")]
        data = dependencies(run.provenance) | {
            path: md5 for path, md5 in dependencies(result.provenance).items() if path.endswith("/test")
        }
        self.entries = Entries(
            Locked(trained_with(run), dependencies(run.provenance), dict([weights])),
            Locked(testing, dependencies(result.provenance), {self.path.as_posix(): result.md5()}),
            PreprocessEntry({}, data),
            Lock(required=False),
        )

    def why_left(self, today: Spec | None = None) -> str | None:
        return why_left(self.training, today or self.spec, self.entries, self.path)


@pytest.fixture
def recorded(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.chdir(tmp_path)
    return Recorded(params)


def test_a_recorded_result_is_done_without_weights(recorded: Recorded) -> None:
    assert recorded.why_left() is None
    assert [path.name for path in Path().iterdir()] == ["reports"]


def replaced(spec: Spec, **sections: dict[str, Any]) -> Spec:
    content = spec.content()
    for name, changes in sections.items():
        content[name] |= changes
    return Spec.parse(content, "spec", "resolve")


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"settings": {"epochs": 9}}, "a result of other settings"),
        ({"code": {"train": sha("edited")}}, "a result of other code"),
        ({"code": {"evaluate": sha("edited")}}, "a result of other code"),
        ({"testing": {"images": 77}}, "a result of other test images"),
    ],
)
def test_a_result_of_another_spec_than_today_s_is_not_done(
    recorded: Recorded, sections: dict[str, dict[str, Any]], reason: str
) -> None:
    assert recorded.why_left(replaced(recorded.spec, **sections)) == reason


def test_without_a_whole_result_a_training_is_left(recorded: Recorded) -> None:
    content = recorded.path.read_bytes()
    recorded.path.write_bytes(content.replace(b'"accuracy"', b'"acuracy"', 1))
    assert recorded.why_left() == "a result that cannot be read"
    recorded.path.unlink()
    assert recorded.why_left() == "no result"


def test_the_result_of_another_training_does_not_stand_for_it(recorded: Recorded, params: Params) -> None:
    synthetic(params, "quick", params.trainings()[1].key, 0).write(recorded.path)
    assert recorded.why_left() == "a result of another training"
    synthetic(params, "quick", recorded.training.key, 1).write(recorded.path)
    assert recorded.why_left() == "a result of another training"


UNLOCKED = Locked({}, {}, {})
CHANGES: list[tuple[Callable[[Entries], Entries], str]] = [
    (lambda entries: entries._replace(data=PreprocessEntry({}, {})), "a result of other data"),
    (
        lambda entries: entries._replace(
            data=PreprocessEntry({}, {path: short("other") for path in entries.data.outs})
        ),
        "a result of other data",
    ),
    (lambda entries: entries._replace(train=UNLOCKED), "a result of other data"),
    (lambda entries: entries._replace(evaluate=UNLOCKED), "a result that dvc.lock does not have"),
    (
        lambda entries: entries._replace(train=entries.train._replace(params={})),
        "a result that dvc.lock does not have",
    ),
    (
        lambda entries: entries._replace(
            evaluate=entries.evaluate._replace(outs={path: short("other") for path in entries.evaluate.outs})
        ),
        "a result that dvc.lock does not have",
    ),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_dvc_lock_must_have_both_stages_as_the_result_says(
    recorded: Recorded, change: Callable[[Entries], Entries], reason: str
) -> None:
    recorded.entries = change(recorded.entries)
    assert recorded.why_left() == reason


def test_other_augmented_copies_leave_a_result_done(recorded: Recorded, params: Params) -> None:
    """Another result proves what the arrays in dvc.lock are; without it they are other data."""
    path = result_path(results_folder("quick"), recorded.training.key, 1)
    synthetic(params, "quick", recorded.training.key, 1).write(path)
    data = recorded.entries.data
    recorded.write(other_array(Evaluation.read(recorded.path, "evaluate")))
    recorded.entries = recorded.entries._replace(data=data)
    assert recorded.why_left() is None
    path.unlink()
    assert recorded.why_left() == "a result of other data"


def test_a_further_seed_has_a_result_of_its_own() -> None:
    from stages.config.cells import CellKey

    training = Training(CellKey("cells", "mnist", "vgg16"), 2, "more")
    assert result_path(results_folder("paper"), training.key, training.seed) == Path(
        "reports/paper/cells/mnist/vgg16-s2.json"
    )
