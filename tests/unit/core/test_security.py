"""Nothing that is downloaded or stored is unpickled, no parameter reaches a shell, no name leaves its folder."""

import ast
import contextlib
import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError

from stages.audit.arrays import array
from stages.config import loading as module
from stages.config.loading import load_params
from stages.core.errors import StageError
from stages.download.cifar10 import records_of_batch
from stages.engine.checkpoints import Checkpoint, _RefusedError
from stages.engine.images import read_array
from tests.shipped import shipped

ROOT = Path(__file__).resolve().parents[3]
NAMES = (
    *(
        "../x",
        "/etc/x",
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "a b",
        "-rf",
        "$(id)",
        "a;b",
        "{{x}}",
        "<b>",
        "\xfc",
    ),
    *("a" * 300, "Vgg11", "VGG11", "vgg11.", "~"),  # VGG11 and vgg11 are one folder on some file systems
)


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def as_npy(payload: Payload) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([payload], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def as_torch(payload: Payload) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return buffer.getvalue()


def checkpoint(path: Path) -> None:
    path.replace(path.with_name("s0.checkpoint"))
    Checkpoint(path.with_name("s0"), {})._read()


def weights(path: Path) -> None:
    from stages.evaluate.prediction import load_file

    load_file(path)


READERS: dict[str, Callable[[Path], object]] = {
    "arrays": lambda path: read_array(path, hashlib.sha256(path.read_bytes()).hexdigest()),
    "arrays of verify": array,
    "torchvision's batches": records_of_batch,
    "checkpoint": checkpoint,
    "weights": weights,
}


@pytest.mark.parametrize("form", [as_npy, as_torch, pickle.dumps])
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_unpickles(reader: str, form: Callable[[Any], bytes], tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    file = tmp_path / "file"
    file.write_bytes(form(Payload(marker)))
    with contextlib.suppress(StageError, ValueError, SafetensorError, _RefusedError):
        READERS[reader](file)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Payload(marker)))  # noqa: S301 - the payload does what it says
    assert marker.exists()


def calls() -> list[tuple[str, ast.Call]]:
    """Every call in the sources, with its place."""
    found = []
    for file in sorted((ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.append((f"{file.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_no_source_unpickles_or_uses_a_shell() -> None:
    forbidden = ("pickle.load", "torch.load", "joblib.load", "os.system", "os.popen", "eval", "exec", "yaml.load")
    found = []
    for place, call in calls():
        name = ast.unparse(call.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name.startswith(forbidden[:3]) or name in forbidden:
            found.append(place)
        if given.get("allow_pickle", "False") != "False" or given.get("shell", "False") != "False":
            found.append(place)
        if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            found.append(place)
    assert found == []


@pytest.mark.parametrize(
    ("section", "name"),
    [(("cells", "mnist"), "vgg11"), (("alternatives", "cifar10"), None), (("budgets",), "paper"), (("studies",), None)],
)
def test_names_cannot_leave_their_folder(
    section: tuple[str, ...], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of cells, budgets and studies, which are names of files: the line names the key."""
    for bad in NAMES:
        data = shipped()
        entries = data
        for key in section:
            entries = entries[key]
        entries[bad] = entries.pop(name or next(iter(entries)))
        monkeypatch.setattr(module, "read_yaml", lambda path, data=data: data)
        with pytest.raises(StageError) as caught:
            load_params()
        assert caught.value.message.startswith(f"params.yaml: {'.'.join(section)}.")
        assert "\n" not in caught.value.message
