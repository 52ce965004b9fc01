"""Audits of releases with several mark sets, or with assignments that are restricted, through services and sandbox."""

from __future__ import annotations

import json

import numpy as np
import pytest
from django.urls import reverse
from safetensors.numpy import load, save
from scipy import stats

from audits.asking.measuring import Answers
from audits.judging.assignments import Rules, Secrets, judge_level
from audits.judging.scoring import LevelScores
from audits.judging.sets import combine_level
from audits.models import Audit
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from audits.statistics.combination import combine
from audits.statistics.density import DensityScores
from provenance.marks import MarkSets, MarkSettings
from provenance.models import Release, Version
from provenance.services import clusters, keys, releases
from provenance.services.jobs import queue
from tests.audits.builders_runs import (
    CLASSES,
    confined_child_killed_when,
    locked_plan,
    make_version,
    register,
    train,
    untrained,
)
from tests.known_keys import known_keys

MARKED = MarkSettings(groups=CLASSES, share=0.35, side=0.25, opacity=1.0)
PLAIN = MarkSettings(association="plain", share=0.1, side=0.25, opacity=1.0)
CLASSED = MarkSettings(groups=CLASSES, share=0.35, side=0.25, opacity=1.0, size_classes=(0, 0, 0, 0, 1, 1))


def released(world, version: Version, *marks: MarkSettings) -> Release:
    (made,) = releases.make_releases(version, ["North"], MarkSets(marks), by=world.rights_holder)
    return Release.objects.select_related("version", "key").get(pk=made.pk)


def ended(audit: Audit) -> Audit:
    return Audit.objects.select_related("job", "plan").get(pk=audit.pk)


def texts_in(value) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {text for item in value.values() for text in texts_in(item)}
    if isinstance(value, list):
        return {text for item in value for text in texts_in(item)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.suspect
@pytest.mark.django_db(transaction=True)
def test_an_associated_and_a_plain_set_are_tested_each_in_its_way_and_combined(world, sign_in):
    with known_keys(1):
        release = released(world, make_version(world), MARKED, PLAIN)
    suspect = register(world, "suspect", train(release.folder / "files", seed=1))
    reference = register(world, "reference", untrained(seed=2), "reference")
    plan = locked_plan(
        world, [release], suspect, references=[reference], probes=30, decoys=39, exceedances=0, alpha=0.05
    )
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert (audit.state, audit.job.reason) == ("done", "")
    assert len(bytes.fromhex(audit.nonce)) == 32
    row = audit.rows.get()
    result = row.result
    first, second = result["sets"]
    assert (result["test"], first["set"], second["set"], second["test"]) == ("combined", 1, 2, "rank")
    assert (first["association"], second["association"]) == ("associated", "plain")
    for name in ("features", "soft", "hard"):
        level, alone = result["levels"][name], [one["levels"][name] for one in (first, second)]
        assert level["p_without"] == combine([one["p_without"] for one in alone], [720, 40]).p
        assert level["p_with"] == combine([one["p_with"] for one in alone], [720, 40]).p
        assert level["smallest_p"] == pytest.approx(1 / (720 * 40))
        wrong = combine([one["controls"][0]["p"] for one in alone], [720, 40]).p
        assert level["controls"][0] == {"name": "A wrong key", "kind": "wrong key", "tail": "high", "p": wrong}
        assert len(level["controls"]) == 3  # the wrong key, and the reference at both tails
        assert "corrected" in level
        assert not any("corrected" in one for one in alone)
    assert first["levels"]["soft"]["p"] <= 0.01  # trained on this copy
    assert row.p == result["levels"]["soft"]["p"] == row.p_corrected
    assert {one["set"] for one in result["verifiers"]} <= {1, None}
    _check_passes(audit, plan, first)
    _check_who_sees_what(world, audit, sign_in)


@pytest.mark.suspect
@pytest.mark.django_db(transaction=True)
def test_a_set_by_clusters_is_tested_beside_sets_by_class_and_of_plain_marks(world, sign_in):
    version = make_version(world)
    of_cluster = np.arange(version.file_count) % 6  # across all classes, so a class says nothing about a cluster
    found = clusters.Found(of_cluster.astype(np.uint16), "timm:resnet18", "0" * 64, 1, {})
    kept = clusters.keep(version, found, by=world.rights_holder)
    clustered = MARKED.replace(groups=kept.names, group_by="cluster", clusters=kept.digest)
    with known_keys(1):
        release = released(world, version, clustered, MARKED.replace(share=0.1), PLAIN.replace(share=0.05))
    rows = [json.loads(line) for line in (release.folder / "marked.jsonl").read_text().splitlines()]
    own = [row for row in rows if row["set"] == 1]
    assert len(own) == 6 * 17
    assert all(of_cluster[row["position"]] == row["group"] for row in own)

    suspect = register(world, "suspect", train(release.folder / "files", seed=1, labels=of_cluster))
    sizes = {"probes": 30, "group_images": 5, "decoys": 19, "exceedances": 0, "alpha": 0.05}
    audit = ended(queueing.queue(locked_plan(world, [release], suspect, **sizes), by=world.auditor))
    assert (audit.state, audit.job.reason) == ("done", "")
    row = audit.rows.get()
    by_cluster, by_class, plain = row.result["sets"]
    assert (by_cluster["groups"], by_class["groups"]) == (list(kept.names), list(CLASSES))
    assert (by_cluster["set"], by_class["set"], plain["set"], plain["test"]) == (1, 2, 3, "rank")
    alone = [one["levels"]["soft"]["p_without"] for one in row.result["sets"]]
    assert alone[0] <= 0.01  # it learned to tell the clusters of the copy by their marks
    assert row.p == combine(alone, [720, 720, 20]).p
    for person, names in ((world.auditor, False), (world.rights_holder, True)):
        shown = texts_in(as_json(audit, person)["releases"][0]["result"])
        assert (set(kept.names) <= shown, set(CLASSES) <= shown) == (names, names)
        assert sign_in(person).get(reverse("audit_detail", args=[audit.pk])).status_code == 200


def _check_passes(audit: Audit, plan, first) -> None:
    """Every model about both sets; the wrong keys of both are asked of the suspect alone."""
    (folder,) = (audit.folder / "answers" / str(audit.rows.get().release_id) / str(plan.suspect_id)).iterdir()
    groups = len(Answers(folder).read("groups", "soft"))
    suspect = 30 * (1 + 6 + 6) + groups + 30 * (1 + 40 + 1)
    reference = 30 * (1 + 6) + groups + 30 * (1 + 40)
    assert audit.facts["forward_passes"] == suspect + reference
    told = {model["name"]: model["forward_passes"] for model in audit.facts["models"]}
    assert told == {"suspect": suspect, "reference": reference}
    assert audit.facts["answered_before"] == 0


def _check_who_sees_what(world, audit: Audit, sign_in) -> None:
    url = reverse("audit_detail", args=[audit.pk])
    hidden = as_json(audit, world.auditor)["releases"][0]
    assert not {"assignment", "shuffle", "groups", "true", "pulls"} & texts_in(hidden)
    assert not set(CLASSES) & texts_in(hidden["result"])
    assert set(CLASSES) <= texts_in(as_json(audit, world.rights_holder)["releases"][0]["result"])
    for person in (world.auditor, world.rights_holder):
        browser = sign_in(person)
        page = browser.get(url).content.decode()
        for text in ("combined by Fisher’s method", "Mark set 1", "Pull of each pattern to each group", "Set 2"):
            assert text in page
        other = browser.get(url, {"set": "2", "level": "hard"}).content.decode()
        assert "Q of all decoy keys and of the true key" in other
        assert (">The true key<" in other) == (person == world.rights_holder)
        assert browser.get(url, {"set": "7"}).status_code == 200
        assert browser.get(reverse("audit_json", args=[audit.pk])).status_code == 200


@pytest.mark.suspect
@pytest.mark.django_db(transaction=True)
def test_a_run_killed_between_its_sets_goes_on_there(world, settings):
    release = released(world, make_version(world, per_class=40), MARKED, PLAIN)
    suspect = register(world, "suspect", untrained(seed=3))
    plan = locked_plan(world, [release], suspect, probes=20, group_images=4, decoys=39, exceedances=0, alpha=0.05)
    with confined_child_killed_when(lambda: any((settings.FILES_DIR / "audits").rglob("set-2/*.done"))):
        audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    answered = {path: path.stat().st_mtime_ns for path in audit.folder.rglob("*.done")}
    nonce = audit.nonce

    queue.retry(audit.job, by=world.auditor)
    audit = ended(audit)
    assert (audit.state, audit.job.reason, audit.nonce) == ("done", "", nonce)
    # Notes of single blocks go once their answers are sorted; what is left of them was not written again.
    assert all(path.stat().st_mtime_ns == written for path, written in answered.items() if path.exists())
    # Probes and, in some draws of the key, marks of both sets leave a group fewer clean images than the four planned.
    probes, groups, second = 20 * 13, 6 * 4, 20 * 42
    assert probes + second + groups // 2 <= audit.facts["forward_passes"] <= probes + second + groups
    assert probes + groups // 2 < audit.facts["answered_before"] < audit.facts["forward_passes"]


def silent() -> bytes:
    """Weights of a network that gives the same features to every image."""
    tensors = load(untrained(seed=9))
    return save({name: tensor * 0 if name == "stem.0.weight" else tensor for name, tensor in tensors.items()})


@pytest.mark.suspect
@pytest.mark.django_db(transaction=True)
def test_a_level_at_which_a_reference_cannot_serve_is_left_out_and_the_other_decides(world):
    release = released(world, make_version(world, per_class=40), MARKED, PLAIN)
    suspect = register(world, "suspect", untrained(seed=5))
    quiet = register(world, "quiet", silent(), "reference")
    sizes = {"probes": 12, "group_images": 4, "decoys": 19, "exceedances": 0, "alpha": 0.1}
    plan = locked_plan(world, [release], suspect, references=[quiet], further_primary=["features"], **sizes)
    audit = ended(queueing.queue(plan, by=world.auditor))
    assert (audit.state, audit.job.reason) == ("done", "")
    row = audit.rows.get()
    reason = row.result["levels"]["features"]["reason"]
    for number in (1, 2):
        assert f"Mark set {number}: The reference quiet cannot serve: The model gives the same features" in reason
    assert (row.level, row.result["primary_levels"]) == ("soft", ["features", "soft"])
    assert any("Features were to decide as well, but could not be tested." in text for text in row.result["reasons"])


@pytest.mark.suspect
@pytest.mark.django_db(transaction=True)
def test_size_classes_are_permuted_within(world, sign_in):
    release = released(world, make_version(world), CLASSED)
    assignment = keys.open_secrets(release.key)[0].assignment
    assert set(assignment[4:]) == {4, 5}
    suspect = register(world, "suspect", untrained(seed=4))
    audit = ended(queueing.queue(locked_plan(world, [release], suspect, alpha=0.05), by=world.auditor))
    assert (audit.state, audit.job.reason) == ("done", "")
    row = audit.rows.get()
    test = row.result["levels"]["soft"]["without"]
    assert (test["exact"], test["permutations"], row.smallest_p) == (True, 48, pytest.approx(1 / 48))
    assert 48 * row.p == pytest.approx(round(48 * row.p))
    assert row.result["restriction"] == {"size_classes": [0, 0, 0, 0, 1, 1], "forbidden": 0, "possible": 48}
    wrong = row.result["levels"]["soft"]["controls"][0]["p"]
    assert 48 * wrong == pytest.approx(round(48 * wrong))
    centred = np.array(row.result["levels"]["soft"]["centred"])
    assert not centred[:4, 4:].any()
    assert centred[:4, :4].any()
    assert as_json(audit, world.auditor)["releases"][0]["result"]["restriction"]["size_classes"] == 2
    for person in (world.auditor, world.rights_holder):
        page = sign_in(person).get(reverse("audit_detail", args=[audit.pk])).content.decode()
        assert "Patterns are permuted only within 2 size classes: 48 of 720 assignments are possible." in page


def test_keys_drawn_anew_keep_the_error_rate_of_restricted_and_combined_sets():
    """The null as it is wired: one innocent model, many keys, assignments derived from them as in a release."""
    marks = MarkSets((CLASSED.replace(forbidden=((0, 1), (5, 5))), MARKED))
    restricted, free = marks
    rules = Rules("ab" * 32, "soft", 0.05, 1000, decide_with_references=False)
    rng, trials = np.random.default_rng(21), 400
    model = [rng.normal(size=(6, 6)) for _ in marks]
    found, alone = [], []
    for _ in range(trials):
        secrets = marks.derive(rng.bytes(32), rng.bytes(32))
        levels = [
            judge_level(
                "soft",
                LevelScores(pulls, (DensityScores(0.0, 0.0, 0.0, 0.0),) * 6, None, 0),
                {},
                Secrets(secret.assignment, None, secret.settings.restriction),
                rules,
                str(number),
            )
            for number, (secret, pulls) in enumerate(zip(secrets, model, strict=True))
        ]
        alone.append(levels[0].p)
        found.append(combine_level(levels, rules).p)
    assert restricted.restriction is not None
    assert free.restriction is None
    for p_values in (alone, found):
        for level in (0.05, 0.1, 0.3):
            assert np.sum(np.array(p_values) <= level) <= stats.binom.interval(0.998, trials, level)[1]
    assert np.mean(np.array(found) <= 0.3) > 0.2
