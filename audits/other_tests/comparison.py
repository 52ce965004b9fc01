"""What the common paired tests would have said about a release, from the same answers as the audit.

Every pattern is paired with the group that the secret assignment gives it, as if that group were its target label;
all pairs of all patterns go into one test, which is how more queries buy these tests a smaller number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audits.other_tests.paired import LABEL_WILCOXON, MARGIN, paired_t, paired_wilcoxon, target_label_wilcoxon
from audits.other_tests.verdict import OtherTestError, Verdict

MIDDLE_LABEL = f"{LABEL_WILCOXON}, middle pattern"


def paired_verdicts(
    clean_density: NDArray[np.floating],
    marked_density: NDArray[np.floating],
    assignment: NDArray[np.integer],
    probabilities: bool,
) -> list[Verdict]:
    """Paired t-test and Wilcoxon over all G N pairs of one release at one level.

    clean_density (N, G): density of every clean probe to every group; marked_density (G, N, G): the same for the
    probes marked with every pattern; assignment (G,): pattern j marks group assignment[j]. probabilities: the level is
    soft labels, where DVBW's margin has a meaning.
    """
    groups = len(assignment)
    if marked_density.shape != (groups, len(clean_density), groups) or clean_density.shape[1] != groups:
        raise OtherTestError("Densities must cover every pattern, probe and group.")
    own = np.arange(groups)
    return verdicts_of_pairs(clean_density[:, assignment].T, marked_density[own, :, assignment], probabilities)


def verdicts_of_pairs(clean: NDArray[np.floating], marked: NDArray[np.floating], probabilities: bool) -> list[Verdict]:
    """The same from densities to every pattern's own group alone, (G, N) each, which takes G times less memory."""
    before, after = clean.ravel(), marked.ravel()
    verdicts = [paired_t(before, after), paired_wilcoxon(before, after)]
    if probabilities:
        verdicts.append(paired_t(before, after, MARGIN))
    return verdicts


def label_verdict(
    labels: NDArray[np.integer], group_label: NDArray[np.integer], assignment: NDArray[np.integer]
) -> Verdict:
    """The label-only test of the first pattern: it knows one target label only.

    labels (G, N): predicted labels of the marked probes; group_label (G,): the label most images of a group get.
    """
    return target_label_wilcoxon(np.asarray(labels)[0], int(np.asarray(group_label)[assignment[0]]))


def middle_label_verdict(
    labels: NDArray[np.integer], group_label: NDArray[np.integer], assignment: NDArray[np.integer]
) -> Verdict:
    """The label-only test of every pattern, of which the middle p and statistic stand for all; arguments as above.

    A pattern's own number would point at its group, so an audit shows what they have in common only. Pooling all
    patterns in one test would mean nothing: their targets lie on either side of any label.
    """
    targets = np.asarray(group_label)[assignment]
    single = [target_label_wilcoxon(of_one, int(target)) for of_one, target in zip(labels, targets, strict=True)]
    return Verdict(
        MIDDLE_LABEL,
        float(np.median([verdict.nominal_p for verdict in single])),
        float(np.median([verdict.statistic for verdict in single])),
        int(np.size(labels)),
        single[0].source,
        {name: float(np.mean([verdict.details[name] for verdict in single])) for name in single[0].details},
    )
