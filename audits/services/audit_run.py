"""The job that runs a locked plan: asks every model, scores, judges, stores one row per release.

Secrets exist inside this job only. Answers are kept per block, so another attempt goes on where this one was killed.
"""

import shutil
from contextlib import ExitStack
from time import monotonic
from typing import Any

from audits.combined_judging import combine_levels
from audits.density import LEVELS
from audits.judging import Rules
from audits.models import Audit, RegisteredModel
from audits.services import decoy_run, pull_run
from audits.services.asking import Asked
from audits.services.audits import COMBINED, mark_ended
from audits.services.drawing import Drawn, digest_of_sets, draw
from audits.services.held_out_run import ask_held_out
from audits.services.plans import check_unchanged, record, values_of
from audits.services.repeated_runs import check_series
from audits.services.verdicts import check_deciding, rules_of, store
from audits.services.verifier_run import AskedSet, compare
from provenance.code_version import code_version
from provenance.services.jobs import JobRun, job_kind


@job_kind("audit.run", queue="gpu", ended=mark_ended)
def run_audit(run: JobRun) -> None:
    """Works off one audit, from its first question to its rows."""
    audit = Audit.objects.select_related("plan__suspect", "plan__version__dataset").get(pk=run.params["audit"])
    plan = audit.plan
    if audit.state == Audit.State.DONE:  # an earlier attempt was killed after its last step
        return
    check_unchanged(plan)
    if audit.asked_at is None:  # one that has asked counts already, so runs of the other kind were refused since
        check_series(values_of(plan), plan)
    Audit.objects.filter(pk=audit.pk).exclude(state=Audit.State.DONE).update(
        state=Audit.State.RUNNING, finished_at=None
    )
    started = monotonic()
    run.progress(0, 0, "choosing probes")
    drawn = [draw(plan, release, run) for release in plan.releases.order_by("recipient", "pk")]
    digests = {f"probes {number}": digest_of_sets(sets) for number, sets in enumerate(drawn, 1)}
    record(
        plan,
        "audit.started",
        by=None,
        subject=audit,
        digests={"plan": plan.digest} | digests,
        details={"attempt": run.job.attempt, "code": code_version()},
    )
    models = [plan.suspect, *plan.references.order_by("name", "pk")]
    asked, by_set = _ask_and_judge(run, audit, models, [d for sets in drawn for d in sets])
    results = [(sets[0].release, _of_release(sets, by_set, rules_of(plan))) for sets in drawn]
    for release, result in results:
        check_deciding(plan, release, result)
    images = ask_held_out(run, audit)
    for sets, (release, result) in zip(drawn, results, strict=True):
        run.checkpoint()
        result |= compare([_asked_set(asked, plan.suspect, d, by_set[d.name]) for d in sets], images.of(release))
    facts = images.added_to(asked.facts())
    store(audit, results, facts | {"seconds": round(monotonic() - started, 1)})
    shutil.rmtree(audit.folder / "images", ignore_errors=True)  # the answers stay


def _ask_and_judge(
    run: JobRun, audit: Audit, models: list[RegisteredModel], drawn: list[Drawn]
) -> tuple[Asked, dict[str, dict[str, Any]]]:
    """The result of every mark set by its name; each set is asked about and judged by itself, in its own way."""
    plan, rules = audit.plan, rules_of(audit.plan, audit.nonce)
    associated, plain = [d for d in drawn if not d.is_plain], [d for d in drawn if d.is_plain]
    total = sum(pull_run.passes_of(plan, d, len(models)) for d in associated)
    total += sum(decoy_run.most_passes(plan, d, len(models)) for d in plain)
    asked, results = Asked(run, audit, total), dict[str, dict[str, Any]]()
    with ExitStack() as stack:
        opened = []
        for model in models:
            # All at once for plain sets, which take them in turn between looks; else one after the other.
            with ExitStack() as single:
                session = (stack if plain else single).enter_context(asked.opened(model))
                pull_run.ask(asked, model, session, associated)
                opened.append((model, session))
        if plain:
            results |= decoy_run.ask_and_judge(asked, opened, plain, rules, run)
    run.progress(asked.done, asked.total, "computing permutations" if associated else "comparing keys")
    for d in associated:
        results[d.name] = pull_run.judge(asked, models, d, rules, run)
    return asked, results


def _of_release(sets: list[Drawn], by_set: dict[str, dict[str, Any]], rules: Rules) -> dict[str, Any]:
    """The result of one release: that of its only set, or what its sets say together, and each by itself."""
    results = [by_set[d.name] for d in sets]
    if len(results) == 1:
        return results[0]
    return {
        "test": COMBINED,
        "level": rules.level,
        "levels": combine_levels([result["levels"] for result in results], rules),
        "probes_digest": digest_of_sets(sets),
        "sets": [
            result
            | {"set": d.set_number, "family": d.secret.settings.family, "association": d.secret.settings.association}
            for d, result in zip(sets, results, strict=True)
        ],
    }


def _asked_set(asked: Asked, suspect: RegisteredModel, d: Drawn, result: dict[str, Any]) -> AskedSet:
    return AskedSet(
        answers=asked.of(d, suspect),
        group_of=d.group_of,
        assignment=None if d.is_plain else d.secret.assignment,
        levels=[level for level in LEVELS if "p" in result["levels"].get(level, {})],
        number=d.set_number,
    )
