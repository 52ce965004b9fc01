"""An audit with so many groups that permutations are sampled; its answers are made up, all else is as it is."""

from __future__ import annotations

import numpy as np

from audits.models import Audit
from provenance.marks import MarkSettings
from tests.audits.builders_reports import sha, started_audit
from tests.audits.golden.internals import (
    AssociatedResult,
    DensityScores,
    LevelScores,
    Restricted,
    Secrets,
    Shuffle,
    Unscored,
    judge_level,
    rules_of,
    store,
)
from tests.world import World

LEVELS = ("features", "soft")


def large_audit(world: World, settings: MarkSettings, nonce: str) -> Audit:
    """One release with these marks, two references, 10,000 permutations; the third level gave nothing to score."""
    audit = started_audit(world, world.auditor, ("Elmwood",), settings.to_dict(), decide_with_references=True)
    audit.nonce = nonce
    audit.save()
    count, (release,) = len(settings.groups), audit.plan.releases.all()
    assignment = _assignment(settings)
    wrong = assignment[::-1] if settings.restriction is None else assignment
    secrets = Secrets(assignment, wrong, settings.restriction)
    levels: dict = {"hard": Unscored("The model gives the same answer to every image.")}
    for place, level in enumerate(LEVELS):
        references = {f"reference-{n}": _scores(100 * n + place, count, assignment, 0.0) for n in (1, 2)}
        scores = _scores(place, count, assignment, 0.02)
        levels[level] = judge_level(level, scores, references, secrets, rules_of(audit.plan, nonce), str(release.pk))
    result = AssociatedResult(
        level=audit.plan.level,
        levels=levels,
        groups=settings.groups,
        assignment=tuple(assignment.tolist()),
        shuffle=Shuffle(tuple(np.random.default_rng(1).permutation(count).tolist())),
        probes_digest=sha("probes"),
        nonce=nonce,
        restriction=_restriction(settings),
    )
    spent = {"forward_passes": 5000, "answered_before": 0}
    models = [{"name": "suspect-1", "role": "suspect", "device": "cpu", **spent, "seconds": 1.5}]
    store(audit, [(release, result)], {**spent, "models": models})
    return Audit.objects.get(pk=audit.pk)


def _assignment(settings: MarkSettings) -> np.ndarray:
    """Every pattern marks the next group of its class."""
    classes = settings.size_classes or (0,) * len(settings.groups)
    found = np.arange(len(classes))
    for one in set(classes):
        mine = np.flatnonzero(np.array(classes) == one)
        found[mine] = np.roll(mine, -2)
    return found


def _scores(seed: int, count: int, assignment: np.ndarray, strength: float) -> LevelScores:
    rng = np.random.default_rng(seed)
    pulls = rng.normal(0, 0.01, (count, count)).round(6)
    pulls[np.arange(count), assignment] += strength
    densities = tuple(DensityScores(*(float(v) for v in rng.normal(0.01, 0.002, 4).round(6))) for _ in range(count))
    return LevelScores(pulls, densities, rng.normal(0, 0.01, (count, count)).round(6), 3)


def _restriction(settings: MarkSettings) -> Restricted | None:
    if settings.restriction is None:
        return None
    return Restricted(settings.size_classes, len(settings.forbidden), settings.restriction.possible())
