"""Classes of many images as a string, one digit an image: short, readable, and comparable in a diff."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stages.core.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Digits = Annotated[str, Field(pattern=r"^[0-9]+$")]  # one class index, of at most ten, for each image


def digits(classes: "NDArray[np.integer]") -> str:
    """Class indices, (n,), as n digits. Raises StageError for one above nine."""
    if classes.max(initial=0) > 9:
        raise StageError(f"class {classes.max()} does not fit one digit; allowed: 0 to 9")
    return "".join(map(str, classes.tolist()))


def digits_array(text: str) -> "NDArray[np.int64]":
    """A string of digits as an array, one number a digit."""
    import numpy as np  # here: MLflow's mirror reads records and does without

    return np.frombuffer(text.encode(), np.uint8).astype(np.int64) - ord("0")
