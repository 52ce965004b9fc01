"""Runs of one suspect whose results are judged and stored as they are for real, from answers that a test makes up."""

from __future__ import annotations

from django.utils import timezone

from audits.judging.assignments import Secrets, judge_level
from audits.judging.levels import Unscored
from audits.models import Audit, Plan
from audits.services.plans.frozen import digest_of, frozen_text
from audits.services.plans.values import values_of
from audits.services.results.verdicts import check_deciding, rules_of, store
from audits.statistics.density import LEVELS
from provenance.models import Job, Release
from tests.audits.builders_reports import assignment, associated_result, level_scores, model, release, version

FACTS = {"forward_passes": 10, "models": []}


class Bench:
    """Two releases and one suspect, audited as often as a test likes; what the suspect says is made up per run."""

    def __init__(self, world) -> None:
        self.world, self.version = world, version(world)
        self.releases = [release(world, self.version, name) for name in ("Northgate", "Southbank")]
        self.suspect = model(world.owner, world.auditor, "suspect-1")

    def plan(self, *releases: Release, **fields) -> Plan:
        """About both releases, or about one, whose recipient is then the one at issue."""
        plan = Plan.objects.create(
            name=f"plan {Plan.objects.count() + 1}",
            **{
                "version": self.version,
                "organisation": self.world.owner,
                "created_by": self.world.auditor,
                "suspect": self.suspect,
                "level": "features",
                "wrong_key_control": False,
                "recipient_at_issue": len(releases) == 1,
            }
            | fields,
        )
        plan.releases.set(releases or self.releases)
        plan.frozen = frozen_text(plan, values_of(plan))
        plan.digest, plan.state = digest_of(plan.frozen), Plan.State.LOCKED
        plan.save()
        return plan

    def queued(self, plan: Plan, **fields) -> Audit:
        """fields: of its job."""
        job = Job.objects.create(kind="audit.run", organisation=plan.organisation, created_by=plan.created_by, **fields)
        audit = Audit.objects.create(plan=plan, created_by=plan.created_by, job=job)
        Job.objects.filter(pk=job.pk).update(params={"audit": str(audit.pk)})
        return audit

    def ended(self, audit: Audit, state: str, asked: bool = False) -> None:
        """Without a p-value; asked: after its first question to the suspect."""
        Job.objects.filter(pk=audit.job_id).update(state=state, attempt=1)
        Audit.objects.filter(pk=audit.pk).update(state=state, asked_at=timezone.now() if asked else None)

    def stored(self, audit: Audit, strengths=None, unscored=()) -> Audit:
        """strengths: by release and level, how strongly it pulls along the assignment."""
        plan, results = audit.plan, []
        for number, made in enumerate(plan.releases.order_by("recipient", "pk")):
            levels = {level: Unscored("It says the same to every image.") for level in unscored}
            for seed, level in enumerate(LEVELS):
                if level not in unscored:
                    strength = (strengths or {}).get((made.recipient, level), 0.0)
                    scores = level_scores(1000 * Audit.objects.count() + 10 * number + seed, strength)
                    keys = Secrets(assignment())
                    levels[level] = judge_level(level, scores, {}, keys, rules_of(plan), str(made.pk))
            results.append((made, associated_result(plan.level, levels, "ab" * 32)))
            check_deciding(plan, *results[-1])
        store(audit, results, FACTS)
        return audit
