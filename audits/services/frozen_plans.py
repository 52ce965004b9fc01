"""The frozen text of a plan: everything that decides about the test, nothing secret; its digest is what a lock logs."""

import hashlib
from typing import TYPE_CHECKING, Any

from audits.models import Plan, RegisteredModel
from audits.ranktest import StoppingRule
from provenance.canonical import canonical_json
from provenance.code_version import code_version
from provenance.models import Release

if TYPE_CHECKING:
    from audits.services.plans import PlanValues

FORMAT = "touchmark/plan/1"
DECOYS_PER_LOOK = 20


def digest_of(frozen: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a frozen plan."""
    return hashlib.sha256(canonical_json(frozen)).hexdigest()


def frozen_text(plan: Plan, values: "PlanValues") -> dict[str, Any]:
    """What a lock freezes: everything that decides about the test, and nothing secret.

    The probes are fixed by it as well: they are the first ones in the committed key's own order among the images that
    it does not propose for marking. The run logs their digest before the first question.
    """
    version = values.version
    return {
        "format": FORMAT,
        "id": str(plan.pk),
        "name": values.name,
        "locked_at": plan.locked_at.isoformat(timespec="seconds") if plan.locked_at else None,
        "code_version": code_version(),
        "dataset": {"name": version.dataset.name, "version": version.number, "root": version.root},
        "releases": [frozen_release(release) for release in values.releases],
        "suspect": frozen_model(values.suspect),
        "references": [frozen_model(reference) for reference in values.references],
        "level": values.level,
        "levels": list(levels_of(values.suspect)),
        "probes": values.probes,
        "alpha": values.alpha,
        "counted": "with references" if values.decide_with_references else "without references",
        **(_frozen_rank_test(values) if values.is_plain else _frozen_permutation_test(values)),
        "correction": "Holm over the plan's releases and earlier runs of the same suspect against them",
        "controls": {"wrong_key": values.wrong_key_control, "references_alone": True, "references_left_out": True},
        "missing_answers": "scored as no shift",
    }


def _frozen_permutation_test(values: "PlanValues") -> dict[str, Any]:
    return {
        "group_images": values.group_images,
        "permutations": values.permutations,
        "statistic": "sum of double-centred pulls along the assignment (method, section 4)",
        "null": "all assignments where groups are nine or fewer, else uniformly random ones; ties count as exceeded",
        "stopping_rule": "none: every permutation is counted",
    }


def _frozen_rank_test(values: "PlanValues") -> dict[str, Any]:
    rule = stopping_rule(values)
    return {
        "decoys": rule.decoys,
        "decoy_seed": "HKDF-SHA256 of this plan's digest and the nonce drawn when the run is queued",
        "statistic": "leave-one-out squared Mahalanobis distance of steady density scores (method, section 5)",
        "null": "the true key's rank among its decoys is uniform; ties count against the claimant",
        "stopping_rule": {"exceedances": rule.exceedances, "decoys_between_looks": rule.block},
    }


def stopping_rule(values: "PlanValues | Plan") -> StoppingRule:
    """How many decoy keys a plan for plain marks asks about, and when it ends early."""
    block = DECOYS_PER_LOOK if values.exceedances else 0
    return StoppingRule(values.decoys, block, values.exceedances)


def frozen_release(release: Release) -> dict[str, Any]:
    """What of a release decides about its test."""
    return {
        "id": str(release.pk),
        "recipient": release.recipient,
        "root": release.root,
        "commitment": release.key.commitment,
        "beacon": release.key.beacon,
        "settings": release.key.settings,
    }


def frozen_model(model: RegisteredModel) -> dict[str, Any]:
    """A model's weights and how they are asked."""
    return {"id": str(model.pk), "name": model.name, "sha256": model.sha256, "spec": model.spec}


def levels_of(model: RegisteredModel) -> tuple[str, ...]:
    """Levels that a model was registered to return, in the fixed order."""
    returns = set(model.spec.get("returns", []))
    return tuple(level for level in Plan.Level.values if level in returns)


def groups_of(release: Release) -> int:
    """How many groups its marks tell apart; none for plain marks."""
    return len(release.key.settings.get("groups", []))
