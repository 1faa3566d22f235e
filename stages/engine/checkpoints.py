"""The state of a training after an epoch, in one file. A training resumed from it ends with the same bits.

It is a safetensors file. Its metadata hold the identity of the training (settings, code, data, software, numerics), the
finished epochs, the machines that trained them, and a checksum of metadata and tensors. It lies beside the run's
folder, since DVC deletes the folder before each attempt, and is removed when the run is done. Random numbers need no
state: each epoch derives its own from seed and number.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.core.errors import StageError
from stages.core.filenames import CHECKPOINT
from stages.core.files import folder_path, sweep
from stages.core.progress import say
from stages.engine.loop import EpochResult, Trainer


class Finished(NamedTuple):
    """What a training has behind it: its epochs, and the machines that `EpochResult.machine` indexes."""

    epochs: list[EpochResult]
    machines: list[dict[str, Any]]


class Checkpoint:
    """The checkpoint of the run in `folder`. `identity` maps the name of each thing the bits depend on to its value."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.path = folder.with_name(folder.name + CHECKPOINT)
        self.refused = self.path.with_name(self.path.name + ".refused")
        self.identity = identity

    def load(self, trainer: Trainer) -> Finished:
        """Restore the trainer and return what is finished: nothing, and a line that says why, if it is refused.

        The run then starts over, and the refused checkpoint stays beside it until the run is done.
        """
        sweep(self.path)
        if not self.path.is_file():
            return Finished([], [])
        try:
            finished, state = self._read()
            trainer.restore(state)
        except _RefusedError as refusal:
            self.path.replace(self.refused)
            say(f"{self.path} is not used, the run starts over: {refusal}; it is kept as {self.refused.name}")
            return Finished([], [])
        say(f"going on after epoch {len(finished.epochs)} of {trainer.run.epochs}, from {self.path}")
        return finished

    def save(self, trainer: Trainer, epochs: Sequence[EpochResult], machines: Sequence[Mapping[str, Any]]) -> None:
        """Write the state after `epochs`. Raises StageError when that fails; the checkpoint before it then stays."""
        state = {name: value.cpu() for name, value in trainer.state().items()}
        metadata = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "epochs": json.dumps(epochs),
            "machines": json.dumps(machines),
        }
        try:
            with folder_path(self.path) as temporary:  # safetensors has temporary files of its own
                save_file(state, temporary, metadata | {"sha256": _digest(metadata, state)})
        except (OSError, SafetensorError) as error:
            behind = len(epochs) - 1
            stays = f"the checkpoint after epoch {behind} stays" if self.path.is_file() else "there was none before"
            raise StageError(
                f"{self.path}: the state after epoch {len(epochs)} cannot be written ({error}); {stays}. "
                "Make room, and start again"
            ) from error

    def remove(self) -> None:
        """Remove the checkpoint, and a refused one, if there is any."""
        for path in (self.path, self.refused):
            path.unlink(missing_ok=True)

    def _read(self) -> tuple[Finished, dict[str, Tensor]]:
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            expected = metadata.pop("sha256")
            identity, epochs, machines = (json.loads(metadata[name]) for name in ("identity", "epochs", "machines"))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise _RefusedError(f"it is torn ({error})") from None
        if _digest(metadata, state) != expected:
            raise _RefusedError("it is torn (its checksum is another)")
        names = sorted(self.identity.keys() | identity.keys())
        plain = json.loads(json.dumps(self.identity))
        different = [name for name in names if identity.get(name) != plain.get(name)]
        if different:
            raise _RefusedError(f"it was written with other {', '.join(different)}")
        return Finished([EpochResult(*epoch) for epoch in epochs], machines), state


class _RefusedError(Exception):
    """A checkpoint cannot be used; the message says why."""


def _digest(metadata: dict[str, str], state: dict[str, Tensor]) -> str:
    """sha256 of the metadata and of the tensors, names and shapes included."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(state):
        digest.update(f"{name} {state[name].dtype} {tuple(state[name].shape)}\n".encode())
        digest.update(state[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
