"""The largest distance of a deformation with one number, by trying all of them."""

from collections.abc import Callable, Sequence

import numpy as np


def largest(
    clean: np.ndarray,
    respond: Callable[[float], np.ndarray],
    numbers: Sequence[float],
    distance: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    """For each row of `clean`, the largest distance to its row of `respond(number)`."""
    found = np.zeros(len(clean))
    for number in numbers:
        deformed = respond(number)
        for i in range(len(clean)):
            found[i] = max(found[i], distance(clean[i].astype(np.float64), deformed[i].astype(np.float64)))
    return found
