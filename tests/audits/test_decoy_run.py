"""Audits of plain marks through services, job and sandbox: the true key among its decoys, stopped, killed, hidden."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from audits.models import Audit, Plan, Report
from audits.report.facts import ReportFacts
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.values import PlanError, PlanValues, values_of
from audits.services.reports.issuing import issue
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from audits.statistics.ranktest import RankTestError, StoppingRule
from provenance.marks import MarkSets, MarkSettings
from provenance.models import LogEntry, Release
from provenance.services import keys, releases
from provenance.services.jobs import queue
from tests.audits.builders_runs import (
    blocks_are_answered,
    confined_child_killed_when,
    locked_plan,
    make_releases,
    make_version,
    register,
    untrained,
)
from tests.audits.test_audit_run import answered_images
from tests.known_keys import known_keys

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]

PLAIN = MarkSettings(association="plain", share=0.3, side=0.25, opacity=1.0)


def plain_release(world, version, recipient: str = "North") -> Release:
    (made,) = releases.make_releases(version, [recipient], MarkSets((PLAIN,)), by=world.rights_holder)
    return Release.objects.select_related("version", "key").get(pk=made.pk)


def plain_plan(world, release, suspect, **more) -> Plan:
    return locked_plan(world, [release], suspect, **{"probes": 20, "decoys": 39, "exceedances": 0} | more)


def ended(audit: Audit) -> Audit:
    return Audit.objects.select_related("job", "plan").get(pk=audit.pk)


def test_the_true_key_is_ranked_among_its_decoys(world):
    """Everything from the plan to what each person sees, with a reference, on a network that never saw an image."""
    release = plain_release(world, make_version(world, per_class=20))
    suspect = register(world, "suspect", untrained(seed=1))
    reference = register(world, "reference", untrained(seed=2), "reference")
    reference.declaration, reference.declared_by, reference.declared_at = "never saw it", world.auditor, timezone.now()
    reference.save()
    plan = plain_plan(world, release, suspect, references=[reference])
    ahead = forecast(values_of(plan))
    assert ahead.smallest_p == pytest.approx(1 / 40)
    assert plan.frozen["decoys"] == 39
    assert "permutations" not in plan.frozen
    audit = ended(queueing.queue(plan, by=world.auditor))

    assert (audit.state, audit.job.reason) == ("done", "")
    assert audit.facts["forward_passes"] == ahead.passes == 20 * (41 * 2 + 1)
    row = audit.rows.get()
    result = row.result
    assert set(result["levels"]) == {"features", "soft", "hard"}
    for level in result["levels"].values():
        test = level["without"]
        assert test["decoys"] == len(test["distances"]) == 39
        assert test["distances"] == sorted(test["distances"])
        above = sum(q >= test["statistic"] * (1 - 1e-6) for q in test["distances"])
        assert test["p"] == pytest.approx((1 + above) / 40)
        assert level["p_with"] is not None
        kinds = [control["kind"] for control in level["controls"]]
        assert kinds == ["wrong key", "reference", "reference"]
    assert row.p == result["levels"]["soft"]["p_without"]

    # The nonce is drawn once, after the lock, and logged before the first question.
    queued = LogEntry.objects.filter(verb="audit.queued").get()
    assert queued.digests["nonce"] == audit.nonce
    assert len(bytes.fromhex(audit.nonce)) == 32
    assert LogEntry.objects.get(verb="plan.locked").seq < queued.seq < LogEntry.objects.get(verb="audit.started").seq

    # Legal staff issue the report; auditors may read it, so it says no more of the true key than its Q.
    report = issue(audit, by=world.legal)
    report.refresh_from_db()
    assert report.state == Report.State.ISSUED, report.job and report.job.reason
    with report.json.open("rb") as stream:
        facts = ReportFacts.from_json(stream.read())
    assert (facts.plan.test, facts.plan.permutations, facts.run.nonce) == ("rank", 39, audit.nonce)
    assert {row.permutations for row in facts.result.rows} == {39}
    assert all(sum(histogram.counts) == 39 for histogram in facts.histograms)
    true = {value for level in result["levels"].values() for value in level["densities"]["true"].values() if value}
    told = {getattr(score, name) for score in facts.scores for name in ("density_gain", "divergence", "coherence")}
    assert not true & told
    with report.pdf.open("rb") as stream:
        text = " ".join(page.extract_text() for page in PdfReader(stream).pages)
    text = re.sub(r"\s+", " ", text.replace("\u200b", ""))
    assert "The true key among its decoys" in text
    assert "at most 39" in text
    assert "assignment" not in text
    assert "ermutation" not in text


def test_who_may_not_see_secrets_sees_the_true_key_by_its_q_alone(world, sign_in):
    release = plain_release(world, make_version(world, per_class=20))
    plan = plain_plan(world, release, register(world, "suspect", untrained(seed=3)))
    audit = ended(queueing.queue(plan, by=world.auditor))
    true = audit.rows.get().result["levels"]["soft"]["densities"]["true"]
    hidden = json.dumps(as_json(audit, world.auditor))
    assert '"true"' not in hidden
    assert not any(repr(value) in hidden for value in true.values() if value)
    assert '"true"' in json.dumps(as_json(audit, world.rights_holder))
    for person in (world.auditor, world.rights_holder):
        browser = sign_in(person)
        page = browser.get(reverse("audit_detail", kwargs={"pk": audit.pk})).content.decode()
        assert "Q of the true key" in page
        assert (">The true key<" in page) == (person == world.rights_holder)
        assert browser.get(reverse("plan_detail", kwargs={"pk": plan.pk})).status_code == 200
        assert browser.get(reverse("audit_json", kwargs={"pk": audit.pk})).status_code == 200


def test_a_network_that_learned_the_key_is_found(world):
    """One that tells this key's marks from those of other keys surely depends on the key."""
    with known_keys(1):
        release = plain_release(world, make_version(world))
    suspect = register(world, "suspect", train_on_key(release))
    with known_keys(2):  # the nonce, which decoys follow from
        audit = ended(queueing.queue(plain_plan(world, release, suspect, alpha=0.1), by=world.auditor))
    row = audit.rows.get()
    assert row.p <= 0.1
    by_chance = row.result["levels"]["soft"]["controls"][0]["p"] <= 0.1  # one wrong key in ten
    assert audit.conclusion == ("inconclusive" if by_chance else "evidence")


def test_an_innocent_is_let_go_early_and_a_killed_run_resumes(world, settings):
    release = plain_release(world, make_version(world, per_class=60))
    suspect = register(world, "suspect", untrained(seed=4))
    # Clean probes, and 13 blocks for the first look alone: 21 keys on 120 probes.
    plan = plain_plan(world, release, suspect, decoys=199, exceedances=2, wrong_key_control=False, probes=120)
    with confined_child_killed_when(blocks_are_answered(settings.FILES_DIR / "audits", 5)):
        audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    nonce, answered = audit.nonce, answered_images(audit.folder)
    assert answered > 120

    queue.retry(audit.job, by=world.auditor)
    audit = ended(audit)
    assert (audit.state, audit.job.reason, audit.nonce) == ("done", "", nonce)
    assert audit.facts["answered_before"] == answered
    result = audit.rows.get().result
    looks = StoppingRule(199, 20, 2).looks()
    assert result["decoys"] in looks
    assert audit.facts["forward_passes"] == 120 * (result["decoys"] + 2)
    for level in result["levels"].values():
        test = level["without"]
        assert test["decoys"] == 199 or test["exceedances"] >= 2
        assert test["p"] == pytest.approx((1 + test["exceedances"]) / (1 + test["decoys"]))
        assert test["smallest_p"] == pytest.approx(1 / 200)


def test_a_run_killed_before_the_code_changed_asks_everything_anew(world, settings, monkeypatch):
    """The true key is among the first that are asked: answers of two codes would tell it from later decoys."""
    release = plain_release(world, make_version(world, per_class=20))
    suspect = register(world, "suspect", untrained(seed=4))
    reference = register(world, "reference", untrained(seed=5), "reference")
    plan = plain_plan(world, release, suspect, references=[reference], wrong_key_control=False)
    with confined_child_killed_when(blocks_are_answered(settings.FILES_DIR / "audits", 3)):
        audit = ended(queueing.queue(plan, by=world.auditor))
    assert audit.state == "failed"
    before = set(audit.folder.rglob("*.done"))
    assert before
    monkeypatch.setattr("audits.services.answers.kept.computing_digest", lambda: "000000000000")

    queue.retry(audit.job, by=world.auditor)
    audit = ended(audit)
    assert (audit.state, audit.job.reason) == ("done", "")
    assert audit.facts["answered_before"] == 0
    assert answered_images(audit.folder) == audit.facts["forward_passes"] == 2 * 20 * 41
    assert not any(path.exists() for path in before)


def test_plans_that_contradict_themselves_are_refused(world):
    version = make_version(world, per_class=20)
    release = plain_release(world, version)
    (associated,) = make_releases(world, version, "South")
    suspect = register(world, "suspect", untrained(seed=5))

    def draft(**more):
        values = {"releases": [release], "level": "soft", "probes": 20, "name": "x", "version": version}
        return save_draft(PlanValues(**values | {"suspect": suspect} | more), by=world.auditor)

    with pytest.raises(PlanError, match="make a plan for each"):
        draft(releases=[release, associated])
    with pytest.raises(PlanError, match="decoy keys"):
        draft(decoys=3)
    with pytest.raises(PlanError, match="exceedances"):
        draft(exceedances=500)
    assert not forecast(values_of(draft(decoys=39))).reaches_alpha
    with pytest.raises(RankTestError):
        StoppingRule(0)


def test_the_form_asks_for_decoys_where_releases_are_plain(world, sign_in):
    version = make_version(world, per_class=20)
    release = plain_release(world, version)
    suspect = register(world, "suspect", untrained(seed=6))
    browser = sign_in(world.auditor)
    page = browser.get(reverse("plan_new"), {"version": str(version.pk)}).content.decode()
    assert 'name="decoys"' in page
    assert 'name="permutations"' not in page
    chosen = {"version": version.pk, "releases": [release.pk], "suspect": suspect.pk, "level": "soft"}
    chosen |= {"counted": "without", "probes": 20, "alpha": 0.05, "decoys": 99, "exceedances": 10}
    shown = browser.get(reverse("plan_forecast"), chosen).content.decode()
    assert "2,020 forward passes" in shown
    assert "0.01" in shown
    browser.post(reverse("plan_new"), chosen)
    plan = Plan.objects.get()
    assert (plan.decoys, plan.exceedances) == (99, 10)


def test_headless(world, capsys):
    plain_release(world, make_version(world, per_class=20))
    register(world, "suspect", untrained(seed=7))
    call_command("plan_audit", "--as", "adam", "--dataset", "Woods", "--suspect", "suspect", "--probes", "20",
                 "--decoys", "19", "--exceedances", "0", "--lock", "--json")  # fmt: skip
    plan = json.loads(capsys.readouterr().out)
    assert plan["smallest_p"] == pytest.approx(1 / 20)
    call_command("run_audit", "--as", "adam", "--plan", plan["plan"], "--wait", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["state"] == "done"
    assert answer["releases"][0]["p"] >= 1 / 20


def train_on_key(release: Release) -> bytes:
    """Weights of a network trained to tell the marks of this release's key from those of two hundred other keys."""
    import numpy as np
    import torch
    from safetensors.torch import save

    from audits.suspects.small_resnet import SmallResNet
    from provenance.marks import MarkSecret, family_for
    from tests.audits.builders_runs import CLASSES, images_of

    rng = np.random.default_rng(0)
    own = keys.open_secrets(release.key)[0].patterns
    others = np.concatenate([MarkSecret.derive(rng.bytes(32), bytes(32), PLAIN).patterns for _ in range(200)])
    images, _ = images_of(release.version.files_folder)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    y = torch.cat([torch.zeros(len(x)), torch.ones(len(x))]).long()

    def marked(patterns: np.ndarray) -> torch.Tensor:
        return family_for(PLAIN).apply(x, torch.from_numpy(patterns), torch.from_numpy(rng.random((len(x), 2))).float())

    torch.manual_seed(0)
    network = SmallResNet(8, (1, 1), len(CLASSES))
    optimiser = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(15):
        batchable = (torch.cat([marked(own), marked(others[rng.integers(0, 200, len(x))])]) / 255 - 0.5) / 0.25
        for batch in torch.randperm(len(batchable)).split(50):
            loss = torch.nn.functional.cross_entropy(network(batchable[batch])[1], y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return save({name: value.contiguous() for name, value in network.state_dict().items()})
