"""What a result says of where it comes from, as `stages.records.provenance` took it when the work started.

Every field is required: what is absent or empty is no provenance, and the result is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.config.settings import Count
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest

Some = Annotated[str, Field(min_length=1)]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$")]  # with its zone
Seconds = Annotated[float, Field(ge=0)]
_SOURCES = "stages/"


class Section(BaseModel):
    """A part of a result. Keys that no report needs may be there or not."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="ignore")


class Dependency(Section):
    """A file, or a folder with each file in it, by DVC's md5."""

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    files: dict[str, Md5] | None = None

    def has(self, *names: str) -> bool:
        """Whether it is a folder that holds these files."""
        return self.files is not None and self.files.keys() >= set(names)


class GitState(Section):
    """The commit, and the files that differed from it."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    dirty: bool
    changed: list[str]


class Environment(Section):
    """The machine and the software; a package that was not installed is None."""

    python: Some
    platform: Some
    processor: Some
    cores: Count
    variables: dict[str, str]
    packages: Annotated[dict[str, str | None], Field(min_length=1)]


class Made(Section):
    """What went into a training or an evaluation, and what did its arithmetic."""

    params: Annotated[dict[str, Any], Field(min_length=1)]
    deps: Annotated[dict[str, Dependency], Field(min_length=1)]
    git: GitState
    environment: Environment
    device: Some
    precision: Some
    threads: Count

    @property
    def code(self) -> dict[str, Dependency]:
        """The source files and folders it depends on."""
        return {path: found for path, found in self.deps.items() if path.startswith(_SOURCES)}

    @property
    def inputs(self) -> dict[str, Dependency]:
        """The data it depends on."""
        return {path: found for path, found in self.deps.items() if not path.startswith(_SOURCES)}

    @property
    def code_sha256(self) -> str:
        """One hash for all of its code: of the md5 of each dependency by its path."""
        return digest({path: found.md5 for path, found in self.code.items()})

    @property
    def params_sha256(self) -> str:
        """One hash for all of its parameters."""
        return digest(self.params)

    def input(self, *names: str) -> tuple[str, Dependency]:
        """Path and hashes of the one input that is such a file, or a folder that holds such files. KeyError without."""
        found = [
            (path, dependency)
            for path, dependency in self.inputs.items()
            if dependency.has(*names) or (path.split("/")[-1],) == names
        ]
        if len(found) != 1:
            raise KeyError(" and ".join(names))
        return found[0]


class MadeFrom(Section):
    """What a data set's arrays were made from."""

    settings: Annotated[dict[str, Any], Field(min_length=1)]
    raw_md5: Annotated[dict[str, Md5], Field(min_length=1)]
    packages: Annotated[dict[str, str], Field(min_length=1)]


class DataDescription(Section):
    """The data set as its dataset.json describes it."""

    dataset: Some
    sha256: Annotated[dict[str, Sha256], Field(min_length=1)]
    made_from: MadeFrom


class Span(Section):
    """From when to when, with the seconds between."""

    started: Time
    ended: Time
    seconds: Seconds


class Evaluated(Made):
    """How the predictions were made."""

    times: Span

    @property
    def run_folder(self) -> tuple[str, Dependency]:
        """Path and hashes of the tested run."""
        return self.input(WEIGHTS, HISTORY, RECORD)

    @property
    def description(self) -> tuple[str, Dependency]:
        """Path and hash of the data set's description."""
        return self.input(DESCRIPTION)

    @property
    def test_arrays(self) -> tuple[str, Dependency]:
        """Path and hashes of the test arrays."""
        return self.input(*TEST_ARRAYS)


class RunSha256(Section):
    """sha256 of the files of a run."""

    weights: Sha256 = Field(alias="weights.safetensors")
    history: Sha256 = Field(alias="history.json")


class PredictionSha256(Section):
    """sha256 of the predictions' arrays."""

    logits: Sha256 = Field(alias="logits.npy")
    labels: Sha256 = Field(alias="labels.npy")


class Trained(Made):
    """How the weights were made."""

    stage: Some
    run_by: Literal["dvc", "hand"]
    data: DataDescription
    sha256: RunSha256

    @property
    def training_arrays(self) -> tuple[str, Dependency]:
        """Path and hashes of the training arrays, their description among them."""
        return self.input(DESCRIPTION, *TRAINING_ARRAYS)


TRAINING_ARRAYS = tuple(f"{part}_{what}.npy" for part in ("train", "validation") for what in ("images", "labels"))
TEST_ARRAYS = ("images.npy", "labels.npy")
