"""What a result says of itself, once it has the form that `evaluate` gives it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.audit.findings import Finding, broken
from stages.core.errors import StageError
from stages.core.files import json_text, read_json

Digits = Annotated[str, Field(pattern=r"^[0-9]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Dep(_Part):
    """The hash of a file or folder, and of each file in the folder, as DVC takes it."""

    md5: str
    files: dict[str, str] | None = None


class Git(_Part):
    """The commit, and the files that differed from it."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    dirty: bool
    changed: list[str]


class Machine(_Part):
    """What bits depend on beside device, precision and threads; further keys decide none."""

    python: str
    processor: str
    variables: dict[str, str]
    speed_variables: dict[str, str]
    packages: dict[str, str | None]


class Taken(_Part):
    """What a stage took when it started, and what it computed with."""

    params: dict[str, Any]
    deps: dict[str, Dep]
    git: Git
    environment: Machine
    device: str
    precision: Literal["bfloat16", "float32"]
    threads: int
    backend: dict[str, Any]


class MadeFrom(_Part):
    """What a data set's arrays were made from."""

    raw_md5: dict[str, str]


class Data(_Part):
    """A data set's description."""

    made_from: MadeFrom


class Record(Taken):
    """A run record."""

    cell: str
    budget: str
    seed: int
    stage: str
    config: dict[str, Any]
    run_by: Literal["dvc", "hand"]
    data: Data
    sha256: dict[str, str]


class Told(_Part):
    """A result."""

    cell: str
    dataset: str
    budget: str
    seed: int
    stages: dict[Literal["train", "evaluate"], str]
    evaluated: Taken
    classes: list[str]
    test_images: int
    accuracy: float
    loss: float | None
    predictions: Digits
    labels: Digits
    most_confused: list[dict[str, Any]]
    history: list[Any]
    run: Record
    sha256: dict[str, str]


def read_told(path: Path, stage: str) -> tuple[dict[str, Any], Told] | Finding:
    """A result's whole JSON and what it says, or the first thing in which it is no result. The file must be there."""
    try:
        whole = read_json(path, stage)
        json_text(whole)
        return whole, Told.model_validate(whole)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            return broken(f"{path}, {key}", "nothing", f"what {stage} writes there")
        return broken(f"{path}, {key}", repr(first["input"]), first["msg"].removeprefix("Input should be "))
    except ValueError:
        return broken(path, "NaN or an infinity", "JSON, which has neither")
    except StageError as error:
        return broken(path, error.message, f"the JSON that {stage} writes")
