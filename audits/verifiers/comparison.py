"""What the common paired tests would have said about a release, from the same answers as the audit.

Every pattern is paired with the group that the secret assignment gives it, as if that group were its target label;
all pairs of all patterns go into one test, which is how more queries buy these tests a smaller number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audits.verifiers.paired import MARGIN, paired_t, paired_wilcoxon, target_label_wilcoxon
from audits.verifiers.verdict import Verdict, VerifierError


def paired_verdicts(
    clean_density: NDArray[np.floating],
    marked_density: NDArray[np.floating],
    assignment: NDArray[np.integer],
    probabilities: bool,
) -> list[Verdict]:
    """Paired t-test and Wilcoxon over all G N pairs of one release at one level.

    clean_density (N, G): density of every clean probe to every group (`densities_to_group`); marked_density (G, N, G):
    the same for the probes marked with every pattern; assignment (G,): pattern j marks group assignment[j].
    probabilities: the level is soft labels, where DVBW's margin has a meaning.
    """
    groups = len(assignment)
    if marked_density.shape != (groups, len(clean_density), groups) or clean_density.shape[1] != groups:
        raise VerifierError("Densities must cover every pattern, probe and group.")
    clean = clean_density[:, assignment].T.ravel()
    marked = marked_density[np.arange(groups), :, assignment].ravel()
    verdicts = [paired_t(clean, marked), paired_wilcoxon(clean, marked)]
    if probabilities:
        verdicts.append(paired_t(clean, marked, MARGIN))
    return verdicts


def label_verdict(
    labels: NDArray[np.integer], group_label: NDArray[np.integer], assignment: NDArray[np.integer]
) -> Verdict:
    """The label-only test of the first pattern: it knows one target label only.

    labels (G, N): predicted labels of the marked probes; group_label (G,): the label most images of a group get.
    """
    return target_label_wilcoxon(np.asarray(labels)[0], int(np.asarray(group_label)[assignment[0]]))
