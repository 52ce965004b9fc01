"""Paired tests over images, as "Black-box Dataset Ownership Verification via Backdoor Watermarking" (DVBW) uses them.

Li et al., IEEE Transactions on Information Forensics and Security 18, 2023 (arXiv 2209.06015): a paired t-test of the
target label's probability with a margin, or Wilcoxon's signed-rank test on labels. Why this is no error rate:
docs/method.md, section 9.1.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

from audits.other_tests.verdict import OtherTestError, Verdict, checked

PAIRED_T = "paired t-test"
PAIRED_WILCOXON, LABEL_WILCOXON = "Wilcoxon signed-rank, scores", "Wilcoxon signed-rank, labels"
SOURCE = "Li et al. 2023, arXiv 2209.06015"
MARGIN = 0.2
ROUNDING = 1e-12  # of the scores' own size: differences below it are no differences


def _pair(clean: NDArray[np.floating], marked: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    before, after = checked(clean, "Clean scores", 2, 1), checked(marked, "Marked scores", 2, 1)
    if before.shape != after.shape:
        raise OtherTestError("A paired test needs the same images clean and marked.")
    return before, after


def _rounding(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    return ROUNDING * max(float(np.abs(before).max()), float(np.abs(after).max()), 1e-300)


def paired_t(clean: NDArray[np.floating], marked: NDArray[np.floating], margin: float = 0.0) -> Verdict:
    """One-sided paired t-test of marked > clean + margin; both (N,): target probability or density to the group.

    The density <phi(x), mean phi of the group> stands in for the target label's probability where the suspect's labels
    are not the owner's groups.

    Differences that do not vary at all give 0 or 1 by their sign (1 for no difference).
    """
    before, after = _pair(clean, marked)
    difference = after - before - margin
    mean, deviation = float(difference.mean()), float(difference.std(ddof=1))
    if deviation <= _rounding(before, after):
        statistic = 0.0 if abs(mean) < 1e-12 else float(np.sign(mean)) * np.inf
        nominal = 0.0 if statistic > 0 else 1.0
    else:
        statistic = mean / (deviation / np.sqrt(len(difference)))
        nominal = float(scipy.stats.t.sf(statistic, len(difference) - 1))
    name = f"{PAIRED_T}, margin {margin:g}" if margin else PAIRED_T
    return Verdict(name, nominal, float(statistic), len(difference), SOURCE, {"mean difference": mean + margin})


def paired_wilcoxon(clean: NDArray[np.floating], marked: NDArray[np.floating]) -> Verdict:
    """One-sided Wilcoxon signed-rank test of marked > clean; both (N,). Equal pairs count half to either side."""
    before, after = _pair(clean, marked)
    difference = np.where(np.abs(after - before) <= _rounding(before, after), 0.0, after - before)
    if not difference.any():
        return Verdict(PAIRED_WILCOXON, 1.0, 0.0, len(difference), SOURCE)
    result = scipy.stats.wilcoxon(difference, zero_method="zsplit", alternative="greater", method="approx")
    return Verdict(PAIRED_WILCOXON, float(result.pvalue), float(result.statistic), len(difference), SOURCE)


def target_label_wilcoxon(labels: NDArray[np.integer], target: int) -> Verdict:
    """Label-only variant of DVBW: signed ranks of (predicted label of the marked image - target); labels (N,) int.

    Its null must *not* be rejected for a guilty model, so one minus the two-sided p plays the p-value (docs/method.md,
    section 9.1).
    """
    found = np.asarray(labels)
    if found.ndim != 1 or len(found) < 2 or not np.issubdtype(found.dtype, np.integer):
        raise OtherTestError("Predicted labels must be whole numbers, one per image, of at least two images.")
    difference = found.astype(np.int64) - target
    agreement = float((difference == 0).mean())
    if not difference.any():
        p, statistic = 1.0, 0.0
    else:
        result = scipy.stats.wilcoxon(
            difference.astype(np.float64), zero_method="zsplit", alternative="two-sided", method="approx"
        )
        p, statistic = float(result.pvalue), float(result.statistic)
    return Verdict(LABEL_WILCOXON, 1.0 - p, statistic, len(found), SOURCE, {"share with target label": agreement})
