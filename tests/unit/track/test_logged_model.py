"""`log-model`: MLflow gives back the trained network, without a pickle, and the run stays as it was."""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import nn

import stages.pretrained
from stages.pretrained import Pretrained
from stages.sync.model import log_model
from stages.track.uri import tracking_uri
from tests.held import MlflowClient
from tests.shipped import shipped_text
from tests.unit.track import live
from tests.unit.track.evaluated import put_result, result, sealed, typed

CELL = "mnist/vgg16"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def transform(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("L"), np.float32))[None] / 255


def trained(predicted: int | None = None) -> tuple[dict[str, Any], Pretrained]:
    """A small network, and a result whose confident errors it made, or of which it says it `predicted` another."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(7), nn.Flatten(), nn.Linear(16, 10)).eval()
    picture, text = Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28)), io.BytesIO()
    picture.save(text, "png")
    found = int(model(transform(picture)[None]).argmax()) if predicted is None else predicted
    made = result(CELL)
    surest = made["most_confused"][0] | {"png": base64.b64encode(text.getvalue()).decode(), "predicted": found}
    made["most_confused"] = [surest | {"label": (found + 1) % 10}] * 8
    return made, Pretrained(model, list("0123456789"), transform, typed(sealed(made)))


@pytest.fixture
def clone(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")  # in one process MLflow opens a relative one once
    (store.parent / "params.yaml").write_text(shipped_text(), encoding="utf-8")
    return store.parent


def logged(network: Pretrained) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.pretrained, "load", lambda *asked: network)
        return CliRunner().invoke(log_model, [CELL, "--budget", "quick"])


def models() -> list[Any]:
    """All logged models that are not removed."""
    client = MlflowClient(tracking_uri())
    return list(client.search_logged_models([one.experiment_id for one in client.search_experiments()]))


def test_the_network_comes_back_and_its_run_is_as_it_was(clone: Path) -> None:
    made, network = trained()
    missing = logged(network)
    assert (missing.exit_code, "has no run in MLflow; python -m stages.track sync brings it" in missing.stderr) == (
        1,
        True,
    )
    put_result(sealed(made), clone)
    assert live.sync_here().exit_code == 0
    client = MlflowClient(tracking_uri())
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    done = logged(network)
    assert done.exit_code == 0, done.output
    model_id = done.stderr.split("'")[1].removeprefix("models:/")
    after = client.get_run(run.info.run_id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", run.info.end_time)
    assert after.outputs
    assert [one.model_id for one in after.outputs.model_outputs] == [model_id]

    import mlflow.pytorch

    again = mlflow.pytorch.load_model(f"models:/{model_id}")
    for images in (torch.rand(2, 1, 28, 28), torch.rand(5, 1, 28, 28)):
        assert torch.equal(again(images), network.model(images))
    signature = mlflow.models.get_model_info(f"models:/{model_id}").signature
    assert [list(spec.shape) for spec in (*signature.inputs, *signature.outputs)] == [[-1, 1, 28, 28], [-1, 10]]
    files = [path.name for path in (clone / "mlartifacts").rglob("data/*")]
    assert files == ["model.pt2"]
    assert logged(network).stderr == done.stderr.replace("logged: ", "there already: ")


def test_a_model_that_names_images_otherwise_is_not_left_there(clone: Path) -> None:
    _, right = trained()
    made, wrong = trained(predicted=(right.result.most_confused[0].predicted + 1) % 10)
    put_result(sealed(made), clone)
    assert live.sync_here().exit_code == 0
    done = logged(wrong)
    assert (done.exit_code, "not logged" in done.stderr) == (1, True)
    assert models() == []


def test_of_several_runs_the_recorded_one_gets_it(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a sync takes it; where another run of the training stands first, as after two clones' syncs."""
    made, network = trained()
    put_result(sealed(made), clone)
    assert live.sync_here().exit_code == 0
    client = MlflowClient(tracking_uri())
    (first,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    tags = {name: value for name, value in first.data.tags.items() if not name.startswith("mlflow.")}
    second = client.create_run(first.info.experiment_id, first.info.start_time, tags, first.info.run_name)
    for recorded in (first, second):
        made["run"]["mlflow"] = {"run_id": recorded.info.run_id, "experiment": "as it was"}
        done = logged(replace(network, result=typed(sealed(made))))
        assert done.exit_code == 0, done.output
        assert [one.source_run_id for one in models() if one.model_id in done.stderr] == [recorded.info.run_id]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'broken.db'}")
    (tmp_path / "broken.db").write_bytes(b"not a database" * 1000)
    assert logged(network).stderr.endswith("; mend that, and run log-model again\n")


@pytest.mark.parametrize("removable", [True, False])
def test_a_model_that_was_not_compared_does_not_count(
    clone: Path, removable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C it is removed; where that fails too, as after a kill, the next time logs it anew."""
    from stages.track.store.models import Models

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    made, network = trained()
    put_result(sealed(made), clone)
    assert live.sync_here().exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Models, "load", interrupted)
        if not removable:
            patch.setattr(Models, "remove", interrupted)
        assert logged(network).output == "\nAborted!\n"
    assert len(models()) == int(not removable)
    again = logged(network)
    assert again.stderr.startswith("logged: "), again.output
    assert [one.model_id for one in models() if "weights_sha256" in one.tags] == [again.stderr.split("'")[1][8:]]
