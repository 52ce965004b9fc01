"""Results, frozen plans and reports in the shapes that earlier versions stored, made from those of today.

Three came before: the first (associated marks, one level decides), the second (plain marks as well), and the third
(mark sets, several levels, other tests; random orders of groups were kept, and only rank tests had a nonce).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from audits.models import Audit, AuditRow, Plan
from provenance.models import Job
from tests.audits.golden.internals import digest_of

Json = dict[str, Any]
FIRST_CORRECTION = "Holm over the plan's releases and earlier runs of the same suspect against them"
THIRD_CORRECTION = (
    "Holm's method over the primary levels of all releases of this plan and of every earlier run of the same suspect "
    "against them, one that a person cancelled counting with p = 1; secondary levels, which never decide, over all "
    "levels of all of them"
)
LATER_CHOICES = ("primary_levels", "secondary_levels", "series_is_open", "held_out", "combination")
LATER_RESULT = ("primary_levels", "decided_by", "verifiers", "verifiers_left_out", "restriction")


def first_result(result: Json) -> Json:
    """Associated or, with the second version, plain: no level is corrected by itself, and no other test was asked."""
    made = {name: deepcopy(value) for name, value in result.items() if name not in LATER_RESULT}
    for level in made["levels"].values():
        level.pop("corrected", None)
        level.pop("centred", None)
    return _without_nonce(made)


def third_result(result: Json) -> Json:
    made = deepcopy(result)
    if "sets" in made:
        return made | {"sets": [_without_nonce(one) for one in made["sets"]]}
    return _without_nonce(made)


def _without_nonce(result: Json) -> Json:
    if "shuffle" not in result:  # a rank test, which had its nonce from the beginning
        return result
    result.pop("nonce", None)
    patterns = result["shuffle"]["patterns"]
    return result | {"shuffle": {"patterns": patterns, "groups": patterns[::-1]}}


def first_frozen(frozen: Json) -> Json:
    made = {name: value for name, value in frozen.items() if name not in (*LATER_CHOICES, "permutation_seed")}
    return made | {"correction": FIRST_CORRECTION}


def third_frozen(frozen: Json) -> Json:
    made = {name: value for name, value in frozen.items() if name != "permutation_seed"}
    return made if made["series_is_open"] else made | {"correction": THIRD_CORRECTION}


def copy_of(audit: Audit, name: str, version: int) -> Audit:
    """The same plan and run once more, as that version would have stored them; version: 1, 2 or 3."""
    to_result, to_frozen = (third_result, third_frozen) if version == 3 else (first_result, first_frozen)
    plan = Plan.objects.get(pk=audit.plan_id)
    releases, references = list(plan.releases.all()), list(plan.references.all())
    plan.pk, plan.name, plan._state.adding = Plan._meta.get_field("id").get_default(), name, True
    plan.frozen = to_frozen(plan.frozen | {"id": str(plan.pk), "name": name})
    plan.digest = digest_of(plan.frozen)
    plan.save()
    plan.releases.set(releases)
    plan.references.set(references)
    made = Audit.objects.get(pk=audit.pk)
    made.pk, made.plan, made._state.adding = Audit._meta.get_field("id").get_default(), plan, True
    made.job = Job.objects.create(
        kind="audit.run", queue="gpu", organisation=plan.organisation, state="done", attempt=1, subject_type="audit"
    )
    is_ranked = any("decoys" in row.result or "sets" in row.result for row in audit.rows.all())
    made.nonce = made.nonce if is_ranked else ""
    made.asked_at = None
    if version < 3:
        made.facts = _first_facts(made.facts)
    made.save()
    for row in audit.rows.order_by("pk"):
        AuditRow.objects.create(
            audit=made,
            release=row.release,
            conclusion=row.conclusion,
            level=row.level if version == 3 else "",
            p=row.p,
            p_corrected=row.p_corrected,
            smallest_p=row.smallest_p,
            result=to_result(row.result),
        )
    return made


def _first_facts(facts: Json) -> Json:
    models = [{name: v for name, v in model.items() if name != "answered_before"} for model in facts["models"]]
    return {name: v for name, v in facts.items() if name != "answered_before"} | {"models": models}


# What each version's reports did not state yet, by the place where it stands in the facts.
THIRD_LACKS = {
    "suspect": ("top_k",),
    "run": ("other_runs", "other_weights", "later_runs"),
    "calibration": ("differences",),
}
SECOND_LACKS = THIRD_LACKS | {
    "": ("other_tests", "other_tests_left_out", "calibration"),
    "releases": ("restrictions",),
    "plan": ("primary_levels", "series_is_open", "held_out", "decoys", "combination"),
    "result.rows": ("set", "test", "combined", "together", "reason"),
    "scores": ("set",),
    "histograms": ("set", "test"),
    "controls": ("set",),
}
FIRST_LACKS = SECOND_LACKS | {
    "plan": (*SECOND_LACKS["plan"], "test"),
    "run": (*SECOND_LACKS["run"], "nonce"),
}
LACKS = {1: FIRST_LACKS, 2: SECOND_LACKS, 3: THIRD_LACKS}


def report_facts(facts: Json, version: int) -> Json:
    """The facts of a stored report without what that version's did not state yet."""
    made = deepcopy(facts)
    for place, names in LACKS[version].items():
        for part in _parts(made, place):
            for name in names:
                part.pop(name, None)
    if version < 3:  # corrected at the plan's own level only
        for row in made["result"]["rows"]:
            row["corrected"] = row["corrected"] if row["level"] == made["plan"]["level"] else None
    return made


def _parts(facts: Json, place: str) -> list[Json]:
    found: Any = facts
    for name in filter(None, place.split(".")):
        found = found.get(name)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]
