"""The test that decides: learn on half of the files which are marked, and try it on the other half."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from provenance.inspection.auc import Area, area
from provenance.inspection.errors import InspectionError
from provenance.inspection.features import Features
from provenance.inspection.table import Columns

LEAST = 20  # files of either kind, half of which are learnt from
FOLDS = 5
BOUND = 0.55  # no upper limit above this is called alike
SHOWN = 5  # of the strongest features

_MISSING = -1e9  # below every number that a file has
_BOOSTING, _LOGISTIC = "gradient boosting", "logistic regression"


@dataclass(frozen=True)
class Finding:
    """What came out. Files: as many of either kind were tested as `marked_tested` and `others_tested` say.

    `strongest`: features that tell most by themselves, each with its own area over all files, at 0.5 or above.
    """

    auc: float
    low: float
    high: float
    marked: int
    others: int
    marked_tested: int
    others_tested: int
    seed: int
    model: str
    columns: int
    strongest: tuple[tuple[str, float], ...]

    @property
    def outcome(self) -> str:
        """ "alike": at most `BOUND` at the upper limit. "apart": above chance at the lower. "unsettled": neither."""
        if self.high <= BOUND:
            return "alike"
        return "apart" if self.low > 0.5 else "unsettled"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome, "strongest": [list(pair) for pair in self.strongest]}


def tell_apart(rows: Sequence[Features], marked: Sequence[bool], seed: int) -> Finding:
    """Train on one half of either kind, test on the other; the better of two classifiers on the first half alone.

    Args: rows: features of every file. marked: which of them bear the mark. seed: of halves, folds and boosting.
    Raises InspectionError for fewer than 20 files of either kind.
    """
    truth = np.array(marked, bool)
    if min(truth.sum(), (~truth).sum()) < LEAST:
        raise InspectionError(
            f"To tell files apart takes at least {LEAST} marked files and as many others of the same groups; "
            f"here are {int(truth.sum())} and {int((~truth).sum())}. Mark more images, or leave more of them unmarked."
        )
    learnt = _half(truth, seed)
    columns = Columns.of([row for row, in_first in zip(rows, learnt, strict=True) if in_first])
    values = columns.matrix(rows)
    model, scores = _scores(values, truth, learnt, seed)
    found = area(scores, truth[~learnt])
    return Finding(
        auc=round(found.auc, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
        marked=int(truth.sum()),
        others=int((~truth).sum()),
        marked_tested=int(truth[~learnt].sum()),
        others_tested=int((~truth[~learnt]).sum()),
        seed=seed,
        model=model,
        columns=values.shape[1],
        strongest=tuple(strongest(columns, values, truth)),
    )


def _half(truth: np.ndarray, seed: int) -> np.ndarray:
    """(n,) bool: half of the marked and half of the others, as the raw stream of the seed has it."""
    order = np.argsort(np.random.Philox(seed).random_raw(len(truth)), kind="stable")
    learnt = np.zeros(len(truth), bool)
    for kind in (True, False):
        own = order[truth[order] == kind]
        learnt[own[: len(own) // 2]] = True
    return learnt


def _scores(values: np.ndarray, truth: np.ndarray, learnt: np.ndarray, seed: int) -> tuple[str, np.ndarray]:
    """The name of the classifier that cross validation on the first half prefers, and its scores of the second."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    if not values.shape[1]:  # every file is like every other
        return "none: no feature differs", np.zeros(int((~learnt).sum()))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    models = _models(seed)
    first, labels = values[learnt], truth[learnt]
    means = {
        name: cross_val_score(one, first, labels, scoring="roc_auc", cv=folds).mean() for name, one in models.items()
    }
    best = max(models, key=lambda name: means[name])
    return best, models[best].fit(first, labels).predict_proba(values[~learnt])[:, 1]


def _models(seed: int) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    boosting = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=5, l2_regularization=1.0,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return {
        # Boosting refuses a column of which a fold has no number at all.
        _BOOSTING: make_pipeline(FunctionTransformer(np.nan_to_num, kw_args={"nan": _MISSING}), boosting),
        _LOGISTIC: make_pipeline(imputer, StandardScaler(), LogisticRegression(C=0.05, max_iter=1000)),
    }


def strongest(columns: Columns, values: np.ndarray, truth: np.ndarray) -> list[tuple[str, float]]:
    """The columns that tell most by themselves over all files; a number that a file lacks counts as below all."""
    if not values.shape[1]:
        return []
    lowest = np.where(np.isnan(values), -np.inf, values)
    areas = [_folded(area(lowest[:, at], truth)) for at in range(lowest.shape[1])]
    names = columns.names  # of equals structure first: it says what is wrong, where bytes and coefficients follow
    order = sorted(range(len(areas)), key=lambda at: (-areas[at], not names[at].startswith("structure"), names[at]))
    return [(names[at], round(areas[at], 4)) for at in order[:SHOWN]]


def _folded(found: Area) -> float:
    return max(found.auc, 1 - found.auc)
