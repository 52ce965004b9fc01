"""The job that runs a locked plan: asks every model, scores, judges, stores one row per release.

Secrets exist inside this job only. Answers are kept per block, so another attempt goes on where this one was killed.
"""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic

from audits.judging.assignments import Rules
from audits.judging.result import COMBINED, CombinedResult, OneSet, Result, SetResult
from audits.judging.sets import combine_levels
from audits.models import Audit, RegisteredModel
from audits.services.code_version import code_version
from audits.services.plans.claims import check_may_begin
from audits.services.plans.locking import check_unchanged, record
from audits.services.results.verdicts import check_deciding, rules_of, store
from audits.services.runs import assignments, choices, ranks
from audits.services.runs.asked import Asked
from audits.services.runs.choices import ChosenAlternatives, choose_alternatives
from audits.services.runs.chosen_images import ChosenImages, choose_images, digest_of_sets
from audits.services.runs.held_out import ask_held_out
from audits.services.runs.other_tests import AskedChoice, AskedSet, compare
from audits.services.runs.queueing import mark_ended
from audits.statistics.draws import Draws
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun

ChosenSet = ChosenImages | ChosenAlternatives


@job_kind("audit.run", title="Auditing the suspect", queue="gpu", ended=mark_ended)
def run_audit(run: JobRun) -> None:
    """Works off one audit, from its first question to its rows."""
    audit = Audit.objects.select_related("plan__suspect", "plan__version__dataset").get(pk=run.params["audit"])
    plan = audit.plan
    if audit.state == Audit.State.DONE:  # an earlier attempt was killed after its last step
        return
    check_unchanged(plan)
    if audit.asked_at is None:  # one that has asked counts already, so runs that may not stand beside it were refused
        check_may_begin(audit)
    Audit.objects.filter(pk=audit.pk).exclude(state=Audit.State.DONE).update(
        state=Audit.State.RUNNING, finished_at=None
    )
    started = monotonic()
    run.progress(0, 0, "choosing probes")
    releases = list(plan.releases.select_related("key").order_by("recipient", "pk"))
    chosen_sets: list[list[ChosenSet]] = [
        [*choose_images(plan, release, run), *choose_alternatives(audit, release, run)] for release in releases
    ]
    digests = {f"probes {number}": digest_of_sets(sets) for number, sets in enumerate(chosen_sets, 1)}
    record(
        plan,
        "audit.started",
        by=None,
        subject=audit,
        digests={"plan": plan.digest} | digests,
        details={"attempt": run.job.attempt, "code": code_version()},
    )
    models = [plan.suspect, *plan.references.order_by("name", "pk")]
    asked, by_set, by_choice = _ask_and_judge(run, audit, models, [chosen for sets in chosen_sets for chosen in sets])
    results = [(sets[0].release, _of_release(sets, by_set, rules_of(plan))) for sets in chosen_sets]
    for release, result in results:
        check_deciding(plan, release, result)
    images = ask_held_out(run, audit)
    compared = []
    for sets, (release, result) in zip(chosen_sets, results, strict=True):
        run.checkpoint()
        struck = [chosen for chosen in sets if isinstance(chosen, ChosenImages)]
        asked_sets = [_asked_set(asked, plan.suspect, chosen, by_set[chosen.name]) for chosen in struck]
        asked_choices = [by_choice[chosen.name] for chosen in sets if isinstance(chosen, ChosenAlternatives)]
        compared.append((release, compare(asked_sets, images.of(release), asked_choices).added_to(result)))
    facts = images.added_to(asked.facts())
    store(audit, compared, facts | {"seconds": round(monotonic() - started, 1)})
    shutil.rmtree(audit.made_folder, ignore_errors=True)  # the answers stay


def _ask_and_judge(
    run: JobRun, audit: Audit, models: list[RegisteredModel], chosen_sets: list[ChosenSet]
) -> tuple[Asked, dict[str, SetResult], dict[str, AskedChoice]]:
    """The result of every mark set by its name, and what other tests compare of keyed choices.

    Each set is asked about and judged by itself, in its own way.
    """
    plan, rules = audit.plan, rules_of(audit.plan, audit.nonce)
    keyed = [chosen for chosen in chosen_sets if isinstance(chosen, ChosenAlternatives)]
    in_parts, at_once = (keyed, []) if plan.looks > 1 else ([], keyed)
    struck = [chosen for chosen in chosen_sets if isinstance(chosen, ChosenImages)]
    associated, plain = (
        [chosen for chosen in struck if not chosen.is_plain],
        [chosen for chosen in struck if chosen.is_plain],
    )
    total = sum(assignments.passes_of(plan, chosen, len(models)) for chosen in associated)
    total += sum(choices.passes_of(plan, chosen, len(models)) for chosen in keyed)
    total += sum(ranks.most_passes(plan, chosen, len(models)) for chosen in plain)
    asked, results, compared = Asked(run, audit, total), dict[str, SetResult](), dict[str, AskedChoice]()
    with Draws(rules.seed) as draws, ExitStack() as stack:
        opened = []
        for model in models:
            # All at once for sets that take them in turn between looks; else one after the other.
            with ExitStack() as single:
                session = (stack if plain or in_parts else single).enter_context(asked.opened(model))
                assignments.ask(asked, model, session, associated, rules, draws)
                choices.ask(asked, model, session, at_once)
                opened.append((model, session))
        for looked_at in in_parts:
            name = looked_at.name
            results[name], compared[name] = choices.ask_and_look(asked, opened, looked_at, rules, run)
        if plain:
            results |= ranks.ask_and_judge(asked, opened, plain, rules, run)
        stack.close()  # no model is asked any more
        phase = "computing permutations" if associated else "comparing keys" if plain else "comparing choices"
        run.progress(asked.done, asked.total, phase)
        for chosen in associated:
            results[chosen.name] = assignments.judge(asked, models, chosen, rules, draws, run)
    for alternatives in at_once:
        name = alternatives.name
        results[name], compared[name] = choices.judge(asked, models, alternatives, rules, run)
    return asked, results, compared


def _of_release(sets: list[ChosenSet], by_set: dict[str, SetResult], rules: Rules) -> Result:
    """The result of one release: that of its only set, or what its sets say together, and each by itself."""
    results = [by_set[chosen.name] for chosen in sets]
    if len(results) == 1:
        return results[0]
    return CombinedResult(
        test=COMBINED,
        level=rules.level,
        levels=combine_levels([result.levels for result in results], rules),
        probes_digest=digest_of_sets(sets),
        sets=tuple(
            replace(result, set=chosen.set_number, family=chosen.family, association=chosen.association)
            for chosen, result in zip(sets, results, strict=True)
        ),
    )


def _asked_set(asked: Asked, suspect: RegisteredModel, chosen: ChosenImages, result: OneSet) -> AskedSet:
    return AskedSet(
        answers=asked.of(chosen, suspect),
        group_of=chosen.group_of,
        assignment=None if chosen.is_plain else chosen.secret.assignment,
        levels=tuple(result.scored),
        number=chosen.set_number,
    )
