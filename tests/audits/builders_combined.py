"""A finished audit of two mark sets in the database, as today's code stores it, with everything a result may hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audits.judging.assignments import Secrets, judge_level
from audits.judging.result import COMBINED, AssociatedResult, CombinedResult, Restricted
from audits.judging.sets import combine_levels
from audits.models import Audit
from audits.other_tests import gmm_likelihood, middle_label_verdict, paired_t
from audits.services.results.verdicts import rules_of, store
from audits.services.runs.other_tests import Comparison
from audits.statistics.density import LEVELS
from provenance.marks import MarkSettings
from provenance.models import Release
from tests.audits.builders_reports import (
    GROUPS,
    assignment,
    associated_result,
    level_scores,
    sha,
    started_audit,
    version,
)
from tests.world import World

CLASSED = MarkSettings(groups=tuple(GROUPS), share=0.1, size_classes=(0, 0, 0, 1, 1, 1))
BLENDED = MarkSettings(groups=tuple(GROUPS), share=0.05, family="blend")


def combined_audit(world: World, strength: float = 0.2) -> Audit:
    """Two sets per release, one of them within size classes; two levels decide, in an open series."""
    audit = started_audit(
        world,
        world.auditor,
        ("Northgate", "Southbank"),
        {"sets": [CLASSED.to_dict(), BLENDED.to_dict()]},
        further_primary=["soft"],
        series_is_open=True,
        held_out=version(world, "Never released"),
    )
    releases = list(audit.plan.releases.order_by("recipient", "pk"))
    results = [(one, _result(audit, one, number, strength * (number == 0))) for number, one in enumerate(releases)]
    models = [{"name": "suspect-1", "role": "suspect", "device": "cpu", "forward_passes": 2400, "seconds": 1.5}]
    store(audit, results, {"forward_passes": 7200, "models": models})
    audit.refresh_from_db()
    return audit


def _result(audit: Audit, release: Release, number: int, strength: float) -> CombinedResult:
    sets = [
        replace(_of_set(audit, release, settings, 10 * number + which, strength), set=which + 1, family=settings.family)
        for which, settings in enumerate((CLASSED, BLENDED))
    ]
    result = CombinedResult(
        test=COMBINED,
        level="features",
        levels=combine_levels([one.levels for one in sets], rules_of(audit.plan)),
        probes_digest=sha(f"probes {release.pk}"),
        sets=tuple(sets),
    )
    return _other_tests(number).added_to(result)


def _of_set(audit: Audit, release: Release, settings: MarkSettings, seed: int, strength: float) -> AssociatedResult:
    secrets = Secrets(assignment(), np.array([1, 2, 0, 4, 5, 3]), settings.restriction)
    levels = {}
    for place, level in enumerate(LEVELS):
        references = {f"reference-{n}": level_scores(1000 + 50 * seed + 10 * n + place, 0.0) for n in (1, 2)}
        scores = level_scores(500 * seed + place, strength)
        levels[level] = judge_level(level, scores, references, secrets, rules_of(audit.plan), f"{release.pk}/{seed}")
    restriction = Restricted(settings.size_classes, 0, 36) if settings.restriction is not None else None
    return associated_result(
        "features", levels, sha(f"probes {seed}"), restriction=restriction, association="associated"
    )


def _other_tests(seed: int) -> Comparison:
    rng, found = np.random.default_rng(seed), Comparison()
    for number in (1, 2):
        found.add("features", number, paired_t(rng.normal(0, 1, 240), rng.normal(0.3, 1, 240)))
        labels = rng.integers(0, 6, (6, 40))
        found.add("hard", number, middle_label_verdict(labels, np.arange(6), assignment()))
    found.add("features", None, gmm_likelihood(rng.normal(size=(40, 6)), rng.normal(size=(40, 6))))
    found.leave_out("view consistency", "The plan has no reference that returns features.")
    return found
