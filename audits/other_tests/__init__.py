"""Tests that others have published, on the same answers, for comparison only.

None of them has an exact error rate. Most take images as the unit of replication, although what differs between a
guilty and an innocent model is the key; those of blocks say what their number is worth. Written anew from their
descriptions.
"""

from audits.other_tests.blocks import VIEWS_T, VIEWS_WILCOXON, views_within_blocks
from audits.other_tests.comparison import (
    MIDDLE_LABEL,
    label_verdict,
    middle_label_verdict,
    paired_verdicts,
    verdicts_of_pairs,
)
from audits.other_tests.likelihood import GMM_LIKELIHOOD, gmm_likelihood
from audits.other_tests.paired import PAIRED_T, PAIRED_WILCOXON, paired_t, paired_wilcoxon, target_label_wilcoxon
from audits.other_tests.sequential import SEQUENTIAL_RANK, sequential_rank
from audits.other_tests.verdict import DISCLAIMER, OtherTestError, Verdict
from audits.other_tests.views import VIEW_CONSISTENCY, random_views, view_consistency

__all__ = [
    "DISCLAIMER",
    "GMM_LIKELIHOOD",
    "MIDDLE_LABEL",
    "PAIRED_T",
    "PAIRED_WILCOXON",
    "SEQUENTIAL_RANK",
    "VIEWS_T",
    "VIEWS_WILCOXON",
    "VIEW_CONSISTENCY",
    "OtherTestError",
    "Verdict",
    "gmm_likelihood",
    "label_verdict",
    "middle_label_verdict",
    "paired_t",
    "paired_verdicts",
    "paired_wilcoxon",
    "random_views",
    "sequential_rank",
    "target_label_wilcoxon",
    "verdicts_of_pairs",
    "view_consistency",
    "views_within_blocks",
]
