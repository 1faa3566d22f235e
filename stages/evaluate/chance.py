"""Whether an accuracy is more than guessing reaches.

The test is that of caret's `confusionMatrix` (Kuhn, Journal of Statistical Software 28(5), 2008): a one-sided exact
binomial test of the hits against the share of the largest class, which naming that class every time reaches. No
approximation, so that it holds for the few hundred test images of a small budget too.
"""

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.01  # of a hundred runs that only guess, one at most passes for better


def at_chance(labels: NDArray[np.uint8], correct: int) -> bool:
    """Whether so many hits on `labels`, of shape (n,), are no evidence of more than guessing."""
    from scipy.stats import binomtest  # here: reports name LEVEL alone, and scipy takes a second to import

    share = np.bincount(labels).max() / len(labels)
    return bool(binomtest(correct, len(labels), share, alternative="greater").pvalue > LEVEL)
