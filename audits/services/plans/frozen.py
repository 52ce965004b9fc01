"""The frozen text of a plan: everything that decides about the test, nothing secret; its digest is what a lock logs."""

import hashlib
from dataclasses import asdict
from typing import Any

from audits.judging.choices import SETTLED
from audits.models import Plan, RegisteredModel
from audits.planning.choices import frozen_of
from audits.planning.declaration import Part
from audits.services.code_version import code_version
from audits.services.models.sightings import first_sight
from audits.services.plans.captions import asks_about_captions, captions_left_out
from audits.services.plans.copies import copies_of, late_releases
from audits.services.plans.exposed import FROZEN, frozen_exposures
from audits.services.plans.images import not_compared, same_images_as
from audits.services.plans.keyed_choices import RANDOM_CHOICES
from audits.services.plans.values import PlanValues, choice_of, levels_of, sets_of, words_of
from audits.statistics.looks import shares
from audits.statistics.ranktest import StoppingRule
from provenance.canonical import canonical_json
from provenance.marks import VersionsSettings
from provenance.models import Release, Version

FORMAT = "touchmark/plan/1"
DECOYS_PER_LOOK = 20
OWN_CAPTIONS = "own_captions"  # whether models are asked how close views come to their image's caption
CAPTIONS_LEFT_OUT = "captions_left_out"  # why they are not, where one would expect it
WHATEVER_THE_MARKS = (Part.SERIES, Part.PROBES, Part.ALPHA, Part.COUNTED)
CLOSED_SERIES = (
    "Holm's method over the primary levels of all releases of this plan, of every copy of the same images that counts "
    "untested, with p = 1, and of every run of the same suspect against copies of the same images that is queued "
    "before the result is stored; one without a p by then, though it may still ask or ended after its first question, "
    "and one of another organisation count with p = 1; secondary levels, which never decide, over all levels of all of "
    "them; no further run of the auditor's organisation, of the data's owner or under its grant may follow but an "
    "exploratory one"
)
OPEN_SERIES = (
    "the series of runs has no planned end: where b p-values were shown by earlier runs of the same suspect against "
    "copies of the same images, made by the auditor's organisation, by the data's owner or under its grant, and m are "
    "shown by this one, count for copies that were not tested or were shown by runs of further organisations, each "
    "with p = 1, the smallest is multiplied by (b + 1) (b + m + 1) and the others by Holm's steps among m, so that "
    "alpha is spent over all runs to come; m counts secondary levels, which never decide, and p-values with and "
    "without references"
)
CORRECTIONS = (CLOSED_SERIES, OPEN_SERIES)  # those that today's code makes
COMBINATION = (
    "Fisher's method over the mark sets of a release, counted exactly where their p-values lie on known grids that are "
    "small enough to enumerate, else bounded from above"
)
KEPT_RULE = (
    "all blocks of the version in an order that HKDF-SHA256 draws from the key's published commitment and beacon for "
    "the purpose withheld/second-audit; of those that the key uses, the last ones in it are kept, the share times "
    "their number rounded down; which alternative stayed home does not enter"
)
KEPT_VERSIONS_RULE = (
    "all images of the version in an order that HKDF-SHA256 draws from the key's published commitment and beacon for "
    "the purpose versions/second-audit; of the pictures that come in two versions, the last ones in it are kept, the "
    "share times their number rounded down; which version stayed home does not enter"
)
TWO_VERSIONS = (
    "the two versions of every picture of which the copy holds one, a block each, made anew from the sources by the "
    "public rule of method, section 12.11; the published one has to be the copy's file, byte for byte"
)
FREE_NULL = "all assignments where groups are nine or fewer, else uniformly random ones; ties count as exceeded"
RESTRICTED_NULL = (
    "the assignments that the mark settings allow, all of them where they can be counted, else uniformly random ones "
    "among them; ties count as exceeded"
)


def digest_of(frozen: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a frozen plan."""
    return hashlib.sha256(canonical_json(frozen)).hexdigest()


def frozen_text(plan: Plan, values: PlanValues) -> dict[str, Any]:
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
        "dataset": frozen_version(version),
        "releases": [frozen_release(release) for release in values.releases],
        "suspect": frozen_model(values.suspect),
        "references": [frozen_model(reference) for reference in values.references],
        "levels": list(levels_of(values.suspect)),
        **frozen_choices(values),
        **_frozen_tests(values),
        "correction": OPEN_SERIES if values.series_is_open else CLOSED_SERIES,
        "first_sight": first_sight(values.suspect, version.dataset.organisation).isoformat(),
        "late_commitments": [release.key.commitment for release in late_releases(values)],
        "copies": asdict(copies_of(values)),
        "same_images": asdict(same_images_as(values)),
        "not_compared": not_compared(values).to_json(),
        **({FROZEN: frozen_exposures(values, plan)} if values.has_choice else {}),
        "controls": _frozen_controls(values),
        "missing_answers": "scored as no shift",
    }


def read_by_runs(values: PlanValues) -> dict[str, Any]:
    """What of the frozen text a run reads from the plan's own row."""
    read = {**frozen_of(values, Part.ASSIGNMENTS, Part.RANKS, Part.CHOICES), "stopping_rule": None}
    numbers = {key: value for key, value in _frozen_tests(values).items() if key in read}
    return {**frozen_choices(values), **numbers, "controls": _frozen_controls(values)}


def frozen_choices(values: PlanValues) -> dict[str, Any]:
    """What a person chose, whichever way the releases are tested."""
    return {
        **frozen_of(values, Part.LEVELS),
        "primary_levels": list(values.primary_levels),
        "secondary_levels": list(values.secondary_levels),
        **frozen_of(values, *WHATEVER_THE_MARKS),
        "held_out": frozen_version(values.held_out) if values.held_out else None,
    }


def frozen_version(version: Version) -> dict[str, Any]:
    """A version by its name, number and Merkle root."""
    return {"name": version.dataset.name, "version": version.number, "root": version.root}


def _frozen_controls(values: PlanValues) -> dict[str, bool]:
    return {**frozen_of(values, Part.CONTROLS), "references_alone": True, "references_left_out": True}


def _frozen_tests(values: PlanValues) -> dict[str, Any]:
    """How every mark set is tested, and how the p-values of several become one."""
    tests = {
        **({words.subject: _frozen_choice_test(values)} if (words := words_of(values.releases)) else {}),
        **({"sets with groups": _frozen_permutation_test(values)} if values.has_associated else {}),
        **({"plain sets": _frozen_rank_test(values)} if values.has_plain else {}),
    }
    found = {name: value for test in tests.values() for name, value in test.items()}
    if len(tests) > 1:
        for name in ("statistic", "null"):
            found[name] = "; ".join(f"{which}: {test[name]}" for which, test in tests.items())
    if any(len(release.key.mark_sets) > 1 for release in values.releases):
        found["combination"] = COMBINATION
    return found


def _frozen_permutation_test(values: PlanValues) -> dict[str, Any]:
    restricted = any(settings.restriction is not None for release in values.releases for settings in sets_of(release))
    return {
        **frozen_of(values, Part.ASSIGNMENTS),
        "permutation_seed": "SHA-256 of this plan's digest, the nonce drawn when the run is queued, and what is tested",
        "statistic": "sum of double-centred pulls along the assignment (method, section 4)",
        "null": RESTRICTED_NULL if restricted else FREE_NULL,
        "stopping_rule": "none: every permutation is counted",
    }


def _frozen_rank_test(values: PlanValues) -> dict[str, Any]:
    rule = stopping_rule(values)
    return {
        **frozen_of(values, Part.RANKS),
        "decoy_seed": "HKDF-SHA256 of this plan's digest and the nonce drawn when the run is queued",
        "statistic": "leave-one-out squared Mahalanobis distance of steady density scores (method, section 5)",
        "null": "the true key's rank among its decoys is uniform; ties count against the claimant",
        "stopping_rule": {"exceedances": rule.exceedances, "decoys_between_looks": rule.block},
    }


def _frozen_choice_test(values: PlanValues) -> dict[str, Any]:
    has_versions = any(isinstance(choice_of(release), VersionsSettings) for release in values.releases)
    left_out = captions_left_out(values)
    return {
        **frozen_of(values, Part.CHOICES),
        **({"alternatives": TWO_VERSIONS} if has_versions else {}),
        "view_seed": "SHA-256 of this plan's digest and the word views; the same views for all images and models",
        "statistic": "sum over blocks of the published alternatives' mean score less that of the one at home, public "
        "covariates of the pictures taken out (method, section 12)",
        "null": "the choice of every block is uniform: its exact law, or for an omnibus "
        f"{RANDOM_CHOICES:,} random choices; ties count against the claimant",
        "stopping_rule": _looks_rule(values.looks),
        "looks_rule": _looks_rule(values.looks),  # of plain sets beside it, the stopping rule is another
        **({"kept_rule": KEPT_VERSIONS_RULE if has_versions else KEPT_RULE} if values.kept_share else {}),
        OWN_CAPTIONS: asks_about_captions(values),
        **({CAPTIONS_LEFT_OUT: left_out} if left_out else {}),
        "missing_views": "an image is scored by its answered views; one without two gets the mean of its block",
    }


def _looks_rule(looks: int) -> str:
    if looks == 1:
        return "none: every block is asked about"
    return (
        f"{looks} looks, after equal parts of the blocks in the key's order; the least of the looks' p over its share "
        f"of alpha counts, shares being {', '.join(f'{share:.3g}' for share in shares(looks))}; the run may end where "
        f"at every deciding level that p is at most {SETTLED:g}, or half of the blocks say the opposite"
    )


def stopping_rule(values: PlanValues | Plan) -> StoppingRule:
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
