"""A network's answers as they leave the child: their numbers are checked here, once for all networks and requests."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from audits.suspects.errors import SuspectError
from audits.suspects.spec import ModelSpec


def likeliest(soft: Tensor, count: int) -> Tensor:
    """(B, k) probabilities with all but the `count` largest of every row set to zero."""
    values, places = soft.topk(min(count, soft.shape[1]), dim=1)
    named: Tensor = soft.new_zeros(soft.shape).scatter_(1, places, values)
    return named


def checked(answers: dict[str, Tensor], spec: ModelSpec) -> dict[str, np.ndarray]:
    """Answers as arrays. Raises SuspectError."""
    arrays: dict[str, np.ndarray] = {name: rows.cpu().numpy() for name, rows in answers.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise SuspectError("numbers", "The model answered with values that are not numbers (NaN or infinity).")
    soft = arrays.get("soft")
    if soft is not None:
        sums = soft.sum(axis=1)
        if soft.min() < -1e-4 or sums.max() > 1 + 1e-2:
            raise SuspectError(
                "numbers", "The labels are not probabilities; say in the description that they are logits."
            )
        if spec.top_k is None and sums.min() < 1 - 1e-2:
            raise SuspectError(
                "numbers",
                f"The labels of an answer sum to {sums.min():.2f} instead of 1. If it leaves some out, say in the "
                "description how many of the likeliest labels it names; if these are logits, say that.",
            )
    return arrays
