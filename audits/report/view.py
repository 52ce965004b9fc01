"""Turns the facts into what the page shows: every number, time and name as finished text, ready to be laid out."""

from dataclasses import asdict
from typing import Any

from audits.report.chronology import events, order_checks
from audits.report.definitions import definitions
from audits.report.facts import LogExtract, ReleaseFacts, ReportFacts, SuspectFacts
from audits.report.limitations import general_limitations
from audits.report.memberships import SCORE_NAMES
from audits.report.statements import (
    finding_meaning,
    finding_title,
    plan_limitations,
)
from audits.report.view_digests import digests_view
from audits.report.view_keys import keys_view
from audits.report.view_results import results_view
from audits.report.wording import LEVEL_NAMES, setting_rows, short_time, time_text
from audits.report.words_of_test import words_of
from provenance.wording import count, counted, exact_size, p_value

Pairs = list[list[str]]


def view_of(facts: ReportFacts) -> dict[str, Any]:
    """A JSON-ready tree of strings, lists and the few numbers that charts are drawn from."""
    words = words_of(facts)
    copy = "copy" if facts.plan.test == "choice" else "marked copy"
    return {
        "copy": copy,
        "words": asdict(words),
        "choice": {name: getattr(facts.choice, name) for name in ("subject", "noun", "both")},
        "number": facts.number,
        "demo": facts.demo,
        "title": f"Does the model “{facts.suspect.name}” depend on a {copy} of “{facts.dataset.name}”?",
        "issued": time_text(facts.issued_at),
        "issued_by": _person(facts.issued_by.name, facts.issued_by.organisation),
        "digest": facts.digest,
        "conclusion": facts.result.conclusion,
        "finding": finding_title(facts),
        "sentence": facts.result.sentence,
        "meaning": finding_meaning(facts),
        "key_numbers": _key_numbers(facts),
        "definitions": [list(pair) for pair in definitions(facts)],
        "parties": [[p.role.capitalize(), p.organisation, p.name or "–", p.contact or "–"] for p in facts.parties],
        "dataset": _dataset(facts),
        "release_rows": [[r.label, r.recipient, short_time(r.embedded_at), _marked(r)] for r in facts.releases],
        "events": [[short_time(event.at), event.what] for event in events(facts)],
        "order": [[check.sentence, check.holds] for check in order_checks(facts)],
        **keys_view(facts.keys, facts.run.started_at),
        "suspect": _suspect(facts),
        "references": [
            [
                ref.name,
                ref.architecture,
                "–" if ref.origin is None else ref.origin or "not stated",
                ref.declaration,
                f"{ref.declared_by}, {short_time(ref.declared_at)}",
            ]
            for ref in facts.references
        ],
        "plan": _plan(facts),
        "run": _run(facts),
        **results_view(facts),
        "general_limitations": [list(pair) for pair in general_limitations(facts)],
        "plan_limitations": [list(pair) for pair in plan_limitations(facts)],
        "releases": [_release(release) for release in facts.releases],
        "logs": [_log(extract) for extract in facts.logs],
        "digests": digests_view(facts),
        "code_version": facts.code_version,
    }


def _marked(release: ReleaseFacts) -> str:
    if release.blocks and not release.marked:
        what = "stayed home" if not release.in_versions else "come in one of two versions"
        return f"none; {count(release.in_versions or _blocks(release))} {what}"
    others = f"; {count(release.in_versions)} others come in one of two versions" if release.in_versions else ""
    return f"{count(release.marked)} of {count(release.files)}{others}"


def _blocks(release: ReleaseFacts) -> int:
    """In how many blocks the key chose; reports of earlier versions know only of those that were asked about."""
    return release.exposure.blocks if release.exposure else release.blocks


def _person(name: str, organisation: str) -> str:
    return f"{name}, {organisation}" if name else organisation


def _key_numbers(facts: ReportFacts) -> Pairs:
    result, alpha = facts.result, facts.plan.alpha
    corrected = result.smallest_corrected_p
    changed = corrected is not None and corrected != result.smallest_p
    return [
        ["Corrected p", p_value(result.p_corrected, alpha)],
        ["p before correction", p_value(result.p_raw, alpha)],
        ["Smallest reachable p", p_value(result.smallest_p, alpha)],
        *([["The same, corrected", p_value(corrected, alpha)]] if changed else []),
        ["Alpha", p_value(alpha)],
    ]


def _dataset(facts: ReportFacts) -> Pairs:
    data = facts.dataset
    return [
        ["Name", data.name],
        ["Owner", data.owner],
        ["Licence", data.licence or "not stated"],
        ["Contact", data.contact or "not stated"],
        ["Contents", data.modality],
        ["Version", f"{data.version}, registered {time_text(data.registered_at)}"],
        ["Files", f"{count(data.files)}, together {exact_size(data.size)}"],
        ["Keys drawn and dropped", count(data.keys_dropped) if data.keys_dropped else "none"],
    ]


def _suspect(facts: ReportFacts) -> Pairs:
    suspect = facts.suspect
    size = f", {exact_size(suspect.size)}" if suspect.size is not None else ""
    return [
        ["Name", suspect.name],
        ["Reached through", suspect.access],
        ["Architecture", suspect.architecture],
        ["File", f"{suspect.file}{size}"],
        *([] if suspect.origin is None else [["Origin", suspect.origin or "not stated"]]),
        *_also_registered(suspect),
        ["Returns", ", ".join(LEVEL_NAMES.get(level, level) for level in suspect.returns)],
        *(
            [["Soft labels name", f"the {count(suspect.top_k)} likeliest; the rest counts as one more"]]
            if suspect.top_k
            else []
        ),
        ["Input", " × ".join(str(side) for side in suspect.input_size) or "the architecture's own"],
        [
            "Registered",
            time_text(suspect.registered_at) + (f" by {suspect.registered_by}" if suspect.registered_by else ""),
        ],
    ]


def _also_registered(suspect: SuspectFacts) -> Pairs:
    """Under which other names the same suspect is known: the same file, tensors, or answers to noise images."""
    said = [f"as “{name}”" for name in suspect.also_registered]
    if suspect.registered_elsewhere:
        said.append(f"{counted(suspect.registered_elsewhere, 'time')} by another organisation")
    return [["Also registered", f"{', '.join(said)}; all count as one suspect"]] if said else []


def _plan(facts: ReportFacts) -> Pairs:
    plan, held = facts.plan, facts.plan.held_out
    return [
        ["Locked", f"{time_text(plan.locked_at)} by {plan.locked_by}"],
        *_levels(facts),
        ["Statistic", plan.statistic],
        ["p that counts", plan.counted],
        ["Alpha", p_value(plan.alpha)],
        *_compared(facts),
        ["Stopping rule", f"of plain mark sets: {plan.stopping_rule}" if plan.test == "mixed" else plan.stopping_rule],
        *([[f"Stopping rule of {facts.choice.subject}", plan.looks_rule]] if plan.looks_rule else []),
        *_asked_about(facts),
        *([["Several mark sets", plan.combination]] if plan.combination else []),
        *([["Series of runs", "open: runs may go on until one succeeds"]] if plan.series_is_open else []),
        *([["What it may claim", "nothing: an exploratory run is no evidence"]] if plan.exploratory else []),
        *([["Recipient at issue", plan.recipient_at_issue]] if plan.recipient_at_issue else []),
        ["Correction", plan.correction],
        ["References", counted(len(facts.references), "reference") if facts.references else "none"],
        *([["Held-out images", f"{held.name}, version {held.version}"]] if held else []),
        ["Code version", plan.code_version],
    ]


def _levels(facts: ReportFacts) -> Pairs:
    plan = facts.plan
    measured = ["Levels measured", ", ".join(LEVEL_NAMES[level] for level in plan.levels)]
    if not plan.primary_levels:
        return [["Deciding level", LEVEL_NAMES[plan.level]], measured]
    secondary = [LEVEL_NAMES[level] for level in plan.levels if level not in plan.primary_levels]
    primary = ", ".join(LEVEL_NAMES[level] for level in plan.primary_levels)
    return [["Primary levels, which decide", primary], ["Secondary levels", ", ".join(secondary) or "none"]]


def _asked_about(facts: ReportFacts) -> Pairs:
    plan = facts.plan
    probes = ["Probes", f"{count(plan.probes)} images, drawn from the version by a keyed choice"]
    if not plan.views:
        return [probes]
    views = f"{count(plan.views)} of every {facts.choice.noun}, each showing {plan.smallest_crop:g} of it or more"
    known = ["What tells that a model knows an image", SCORE_NAMES.get(plan.membership_score, plan.membership_score)]
    left_out = [["Captions", plan.captions_left_out]] if plan.captions_left_out else []
    asked = [[f"Views of {facts.choice.views_of}", views], known, *left_out]
    return [*([probes] if plan.test != "choice" else []), *asked]


def _compared(facts: ReportFacts) -> Pairs:
    plan = facts.plan
    decoys = plan.permutations if plan.test == "rank" else plan.decoys
    follow = "follow from the plan's digest" + (" and the run's nonce" if facts.run.nonce else "")
    found = []
    if plan.test == "choice":
        return []
    if plan.test != "rank":
        text = f"{count(plan.permutations)}, or all there are where there are fewer; random ones {follow}"
        found.append(["Permutations", text])
    if plan.test != "permutation":
        found.append(["Decoy keys", f"at most {count(decoys)}; they {follow}"])
    return found


def _run(facts: ReportFacts) -> Pairs:
    run = facts.run
    return [
        ["Started", time_text(run.started_at)],
        ["Ended", time_text(run.finished_at)],
        ["Device", run.device],
        ["Forward passes", f"{count(run.queries)} of all models together"],
        ["Attempts", count(run.attempts)],
        ["Earlier runs of this pair", count(run.earlier_runs) if run.earlier_runs else "none"],
        ["Later runs of this pair", count(run.later_runs) if run.later_runs else "none"],
        [
            "Runs of other weights against these releases",
            count(run.other_runs) if run.other_runs else "none",
        ],
        ["Missing answers", count(run.missing_answers) if run.missing_answers else "none"],
    ]


def _release(release: ReleaseFacts) -> dict[str, Any]:
    marked = f"{count(release.marked)} of {count(release.files)} files"
    asked = f"{count(release.alternatives)} images or units in {count(release.blocks)} blocks were asked about"
    home = ["Stayed home", f"one of each of {count(_blocks(release))} blocks; {asked}"]
    rows = [
        ["Recipient", release.recipient],
        ["Completed", time_text(release.embedded_at)],
        *([] if release.blocks and not release.marked else [["Images marked", marked]]),
        *([_versions(release) if release.in_versions else home] if release.blocks else []),
        *([["Blocks asked about", release.exposure.words]] if release.exposure else []),
        *([["Other outlets, as declared", release.outlets]] if release.outlets else []),
        ["Commitment recorded", time_text(release.committed_at)],
        ["Beacon recorded", f"{time_text(release.beacon_at)}, from {release.beacon_source}"],
    ]
    if release.psnr_mean is not None:
        rows.append(["Image quality (mean PSNR)", f"{release.psnr_mean:.1f} dB over the marked images"])
    if release.versions_psnr_mean is not None:
        rows.append(["Two versions (mean PSNR)", f"{release.versions_psnr_mean:.1f} dB to their sources"])
    if release.survival_least is not None:
        rows.append(["Survival of the mark", f"at least {release.survival_least * 100:.0f} % in every marked image"])
    sets = release.mark_sets
    return {
        "label": release.label,
        "rows": rows,
        "settings": [
            {"name": f"Mark set {number}" if len(sets) > 1 else "Mark settings", "rows": setting_rows(settings)}
            for number, settings in enumerate(sets, 1)
        ],
    }


def _versions(release: ReleaseFacts) -> list[str]:
    asked = f"both versions of {count(release.blocks)} were asked about"
    return [
        "In one of two versions",
        f"{count(_blocks(release))} pictures in {count(release.in_versions)} files, of each of which the other version "
        f"stayed home; {asked}",
    ]


def _log(log: LogExtract) -> dict[str, Any]:
    return {
        "organisation": log.organisation,
        "checked": time_text(log.checked_at),
        "entries": counted(log.entries, "row"),
        "intact": log.intact,
        "faults": list(log.faults),
        "head": log.head,
        "head_seq": count(log.head_seq),
        "lines": [
            {
                "cells": [
                    count(line.seq),
                    short_time(line.at),
                    _person(line.actor, line.organisation),
                    line.verb,
                    line.subject,
                ],
                "hash": line.hash,
            }
            for line in log.lines
        ],
    }
