"""The refusals of `download`: one source that did not deliver, and all of them."""

from collections.abc import Sequence

from stages.core.errors import StageError


class SourceError(StageError):
    """One source failed; the next may be tried."""


class NoSourceError(StageError):
    """No source delivered the canonical bytes. `failures` holds each source tried with why it failed, in order."""

    def __init__(self, dataset: str, failures: Sequence[tuple[str, str]], wanted: str) -> None:
        self.failures = list(failures)
        tried = "\n".join(f"  {source}: {reason}" for source, reason in failures)
        super().__init__(
            f"{dataset} could not be had, and nothing was written. Tried:\n{tried}\n"
            f"What you can do: put {wanted} into a folder, and run again with --folder FOLDER "
            f"or with DATASETS_FOLDER=FOLDER in the environment."
        )


class ForeignFolderError(StageError):
    """The output folder holds what the pipeline did not put there, and would be lost."""

    def __init__(self, out: object, foreign: Sequence[str]) -> None:
        super().__init__(
            f"{out} holds other things ({', '.join(foreign[:5])}) and is left as it is; name another --out, or empty it"
        )
