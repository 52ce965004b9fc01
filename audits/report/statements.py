"""The fixed words of a report: what its conclusions say, and what they do not say."""

from audits.report.facts import ReportFacts
from audits.report.keys import KeysFacts
from audits.report.results import Result
from audits.report.wording import LEVEL_NAMES, moment, one_in, short_time
from provenance.wording import count, counted, p_value

MOST_RUNS = 20  # against other images, that are printed with their times

_TITLES = {
    "evidence": "Evidence of dependence",
    "inconclusive": "Inconclusive",
    "no evidence": "No evidence of dependence",
    "exploratory: small p": "Exploratory: a small p, which is no evidence",
    "exploratory: no small p": "Exploratory: no small p",
}


def finding_title(facts: ReportFacts) -> str:
    return _TITLES[facts.result.conclusion]


def finding_meaning(facts: ReportFacts) -> str:
    """What the conclusion says about chance, in one paragraph."""
    result, alpha = facts.result, facts.plan.alpha
    p = p_value(result.p_corrected, alpha)
    least = " No smaller p was within the plan's reach." if result.p_raw <= result.smallest_p else ""
    if facts.plan.exploratory:
        return (
            f"The corrected p is {p}, alpha is {p_value(alpha)}. The plan declared this run exploratory, because its "
            "key may have been drawn when the suspect could be tried out, or chosen after a look. How often chance "
            "gives such a p is then not limited by it, and nothing that this run found is evidence."
        )
    if result.conclusion == "evidence":
        return (
            f"If the suspect had never seen the release, a result at least as strong as this would come about by "
            f"chance in at most {one_in(result.p_corrected)} (corrected p = {p}; limit fixed beforehand: alpha = "
            f"{p_value(alpha)}).{least} Other explanations than training on the copy without leave are listed under "
            "Limitations."
        )
    if result.conclusion == "inconclusive":
        return " ".join(
            (
                f"The corrected p is {p}, the limit fixed beforehand is alpha = {p_value(alpha)}. The test neither "
                "shows the dependence that the plan asked about nor lets its absence be concluded.",
                *result.reasons,
            )
        )
    return (
        f"The corrected p is {p}, above the limit fixed beforehand (alpha = {p_value(alpha)}): what was measured is "
        "what chance alone would readily give. This is no proof that the suspect never saw the release; see "
        "Limitations."
    )


def _out_of_reach(result: Result, alpha: float) -> str:
    smallest = p_value(result.smallest_p, alpha)
    if result.smallest_p <= alpha and result.smallest_corrected_p:
        smallest = f"{smallest}, corrected for all tests made {p_value(result.smallest_corrected_p, alpha)}"
    return (
        f"The smallest p that this plan could reach ({smallest}) lies above alpha ({p_value(alpha)}): it could not "
        "have found evidence whatever the suspect had been trained on."
    )


def _who_is_another(facts: ReportFacts) -> str:
    if facts.suspect.tensors:
        return (
            "A suspect counts as the same where its file, the numbers in its tensors or its answers to noise images "
            "agree, so a model that was really changed is another"
        )
    return "A file that was changed by one byte counts as another suspect too"


def _repeated_runs(facts: ReportFacts) -> list[tuple[str, str]]:
    said, run = [], facts.run
    if run.earlier_runs:
        said.append(
            (
                "Earlier runs.",
                f"{counted(run.earlier_runs, 'earlier run')} of the same suspect against the same releases stand in "
                "the log, failed and negative ones included; the corrected p accounts for each that had asked the "
                "suspect anything, or still might, when this result was stored.",
            )
        )
    if run.later_runs:
        said.append(
            (
                "Later runs.",
                f"{counted(run.later_runs, 'run')} of the same suspect against the same releases had been ordered "
                "after this one when this report was issued. The corrected p accounts for those that were ordered "
                "before this result was stored, and was not corrected anew for others.",
            )
        )
    return said


def _series(facts: ReportFacts) -> tuple[str, str]:
    """What Holm's method does not cover, runs that go on because the ones before did not succeed; and what does."""
    if facts.plan.series_is_open:
        return (
            "An open series.",
            "Runs against this suspect may go on until one succeeds. The correction allows for that: every run "
            "spends a part of alpha, and all runs to come together spend no more than alpha.",
        )
    if facts.keys and facts.keys.committed is not None:
        return (
            "A closed series.",
            "One run of this suspect against copies of these images settles the matter: a further one is refused to "
            "the auditor's organisation, to the data's owner and under its grant, unless it is exploratory and so "
            "gives no evidence. Runs of others count with p = 1.",
        )
    run = facts.run.earlier_runs + 1
    return (
        "A closed series.",
        "The correction keeps the error rate only if the number of runs of this suspect was settled beforehand, which "
        f"nothing here proves. An open series pays for the freedom to go on: as its run {run}, p would be multiplied "
        f"by {count(run * (run + 1))}.",
    )


def _of_copies(number: int) -> str:
    return f"{count(number) if number else 'no'} {'copy' if number == 1 else 'copies'} of the same images"


def _copies(facts: ReportFacts) -> list[tuple[str, str]]:
    """Keys that could have been shopped for, and what the correction says to that."""
    keys, said = facts.keys, []
    if keys is None:
        return []
    if late := [
        release.label for release in facts.releases if moment(release.committed_at) > moment(keys.first_seen_at)
    ]:
        said.append(
            (
                "Keys later than the suspect.",
                f"The key of {', '.join(late)} was committed to after the suspect was first seen. Whoever draws keys "
                "once a model is there can draw until one suits it.",
            )
        )
    if keys.committed is None and keys.never_tested:
        said.append(
            (
                "Copies that did not count.",
                f"{_of_copies(keys.never_tested)} that had been released stand in no correction of "
                "this audit, whose plan was made by a version that counted tested ones only.",
            )
        )
    elif facts.plan.recipient_at_issue and keys.committed is not None:
        said.append(
            (
                "One recipient at issue.",
                f"The plan named {facts.plan.recipient_at_issue} as the recipient at issue before anything was asked. "
                f"Beside the tested one {_of_copies(keys.committed - len(facts.releases))} had "
                f"been committed to by then; {count(keys.untested)} of them, for the same recipient, count in the "
                "correction. Nothing here proves that the recipient was not chosen by the answers of a model outside "
                "this software.",
            )
        )
    return said


def _other_images(facts: ReportFacts) -> list[tuple[str, str]]:
    """Questions of the same kind beside this one, and what could not be found to belong to it."""
    keys, said = facts.keys, []
    if keys is None:
        return []
    if runs := len(keys.other_images) + keys.other_runs_elsewhere:
        said.append(
            (
                "Other images of the same owner.",
                f"The same suspect was run {counted(runs, 'time')} against "
                f"{counted(keys.other_sets, 'other set')} of images of the same owner ({_listed(keys)}). Each set is a "
                "question of its own and is corrected by itself, so of many such runs against an innocent suspect some "
                "give a small p by chance.",
            )
        )
    if missing := _not_compared(keys):
        said.append(
            (
                "Not compared.",
                f"When the plan was locked, {missing} of this server could not be compared with the suspect or the "
                "images. Runs of the same suspect, and copies of the same images, could be among them and would not "
                "have been counted.",
            )
        )
    if lost := keys.versions_given_up:
        said.append(
            (
                "Manifests given up.",
                f"The manifest of {counted(lost, 'dataset version')} of the owner or the auditor was lost and given up "
                "before the plan was locked. What such a version holds cannot be found any more, so it counts as "
                "sharing images with every other version of its organisation.",
            )
        )
    return said


def _listed(keys: KeysFacts) -> str:
    runs, elsewhere = keys.other_images, keys.other_runs_elsewhere
    listed = [f"{short_time(run.queued_at)}{f' ({run.end})' if run.end else ''}" for run in runs[:MOST_RUNS]]
    more = f" and {count(len(runs) - MOST_RUNS)} more, all in the JSON form" if len(runs) > MOST_RUNS else ""
    own = [f"UTC: {', '.join(listed)}{more}"] if runs else []
    theirs = [f"{count(elsewhere)} by other organisations, not listed"] if elsewhere else []
    return "; ".join([*own, *theirs])


def _not_compared(keys: KeysFacts) -> str:
    found = ((keys.models_not_compared, "model"), (keys.versions_not_compared, "dataset version"))
    return " and ".join(counted(number, noun) for number, noun in found if number)


_KEPT_AT_HOME = (
    "The test asks whether the suspect knows the published images better than those that stayed home. It loses power, "
    "and never errs against the suspect, where images at home reached it by another way; that they were kept from "
    "every other outlet is declared by the rights-holder, not proven."
)


_VERSIONS_AT_HOME = (
    "The test asks whether the suspect knows the published version of each picture better than the one that stayed "
    "home. It loses power, and never errs against the suspect, where a version at home reached it by another way, such "
    "as a copy for somebody else, in which it was the published one. The source of a picture is neither version, "
    "and may have been published anywhere."
)


def _wrong_keys(facts: ReportFacts) -> list[tuple[str, str]]:
    """Wrong keys that were found, at deciding levels or not; the sentence of controls promises to name them."""
    alpha = facts.plan.alpha
    found = [one for one in facts.controls if one.kind == "wrong key" and one.p <= alpha]
    places = dict.fromkeys(f"{one.release}, {LEVEL_NAMES[one.level]}" for one in found)
    if not found:
        return []
    return [
        (
            "A wrong key was found.",
            f"A key drawn for this purpose alone had a p of alpha ({p_value(alpha)}) or less at {'; '.join(places)}. "
            f"Where nothing reacts to a key, chance gives that in at most {one_in(alpha)}.",
        )
    ]


def plan_limitations(facts: ReportFacts) -> list[tuple[str, str]]:
    """Limitations that follow from this plan and this run."""
    said: list[tuple[str, str]] = []
    result, alpha = facts.result, facts.plan.alpha
    if max(result.smallest_p, result.smallest_corrected_p or 0.0) > alpha:
        said.append(("Reach of the plan.", _out_of_reach(result, alpha)))
    if facts.plan.views:
        of_images = ("Images that stayed home.", _KEPT_AT_HOME)
        said.append(("Versions that stayed home.", _VERSIONS_AT_HOME) if facts.has_versions else of_images)
    if not facts.references:
        home = facts.plan.test == "choice"
        alone = "how well any model knows these images" if home else "what a mark does to any model"
        said.append(("References.", f"No reference was used, so {alone} was not set aside."))
    said += [*_wrong_keys(facts), *_repeated_runs(facts), _series(facts)]
    if facts.run.other_runs:
        said.append(
            (
                "Other weights.",
                f"Before this run {counted(facts.run.other_runs, 'run')} of "
                f"{counted(facts.run.other_weights, 'other weights file')} against one of these releases had been "
                f"ordered. Tests of other suspects stand in no correction. {_who_is_another(facts)}; the log of the "
                "data's owner names every run.",
            )
        )
    if facts.run.missing_answers:
        said.append(
            (
                "Missing answers.",
                f"{counted(facts.run.missing_answers, 'answer')} of the suspect did not come; each was scored as "
                "if the mark had moved nothing, a rule that cannot see the key."
                + (" Views without an answer count as the mean of their block." if facts.plan.views else ""),
            )
        )
    said += [*_copies(facts), *_other_images(facts)]
    dropped = facts.dataset.keys_dropped
    if dropped:
        said.append(
            (
                "Keys drawn and dropped.",
                f"{counted(dropped, 'key')} drawn for this version stayed unused; see the log.",
            )
        )
    if facts.calibration and not facts.calibration.holds:
        said.append(("Calibration.", facts.calibration.sentence))
    if facts.plan.deciding == ("hard",):
        said.append(("Level.", f"The test rests on {LEVEL_NAMES['hard']} alone, the coarsest view of a model."))
    return said + [("This audit.", text) for text in facts.limitations]
