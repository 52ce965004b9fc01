"""The small world that the golden files are about: real runs through services and sandbox, and made-up answers that
the real judging judged and stored; then the same in the shapes of earlier versions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.apps import apps
from django.core import serializers

from audits.models import Audit, Plan, RegisteredModel, Report
from provenance.marks import MarkSets, MarkSettings
from provenance.models import Job, Release, User, WatermarkKey
from tests.audits.builders_calibrations import finished
from tests.audits.builders_combined import combined_audit
from tests.audits.builders_reports import finished_audit
from tests.audits.builders_runs import make_version, register, train, untrained
from tests.audits.builders_verdicts import Bench
from tests.audits.golden import older
from tests.audits.golden.internals import (
    PlanValues,
    canonical_json,
    datasets,
    issue,
    lock,
    queue,
    releases,
    save_draft,
)
from tests.audits.golden.large import large_audit
from tests.audits.golden.steady import BEGIN, Steady
from tests.audits.test_set_run import CLASSED, MARKED, PLAIN, silent
from tests.world import World

SECONDS = 1.5  # what every model took: no machine takes the same time twice
# Audits that were reported, and the version (of `older`) whose report is kept; 0: today's.
REPORTED = (
    ("first version, real", 1),
    ("second version, plain marks", 2),
    ("third version, sets", 3),
    ("several levels and sets", 3),
    ("with references", 0),
    ("plain marks stopped", 0),
)
BANNED = CLASSED.replace(forbidden=((0, 1), (5, 5)))
SMALL = {"probes": 20, "group_images": 4, "permutations": 1000, "level": "soft", "alpha": 0.05}


class Story:
    """Builds the world step by step; every step has a time and random bytes of its own."""

    def __init__(self, clock: Steady) -> None:
        self.clock = clock
        self.models: dict[str, RegisteredModel] = {}
        self.copies: dict[str, Release] = {}
        self.audits: dict[str, Audit] = {}
        self.stored_reports: dict[str, bytes] = {}  # by the name of the file

    def tell(self) -> None:
        self.step("people")
        self.world = World()
        self.data()
        self.registered()
        self.runs()
        self.made_up()
        self.earlier_versions()
        self.drafts()
        self.reports()
        self.settle()

    def step(self, name: str) -> None:
        self.clock.step(name)

    def data(self) -> None:
        self.step("versions")
        self.woods, self.grove = make_version(self.world), make_version(self.world, per_class=8, name="Grove", seed=8)
        kinds = {
            "North": [MARKED.replace(share=0.5)], "South": [MARKED.replace(share=0.5)], "East": [BANNED],
            "Inner": [CLASSED], "West": [PLAIN], "Both": [MARKED, PLAIN], "Pair": [MARKED, PLAIN],
        }  # fmt: skip
        for recipient, sets in kinds.items():
            self.step(f"release {recipient}")
            marks = MarkSets(tuple(sets))
            (made,) = releases.make_releases(self.woods, [recipient], marks, by=self.world.rights_holder)
            self.copies[recipient] = Release.objects.select_related("version", "key").get(pk=made.pk)
        datasets.grant(self.woods.dataset, "gita", by=self.world.rights_holder)

    def registered(self) -> None:
        trained = train(self.copies["North"].folder / "files", seed=1)
        for name, weights, role in (
            ("trained", trained, "suspect"),
            ("often", untrained(seed=3), "suspect"),
            ("plainly", untrained(seed=4), "suspect"),
            ("labels only", untrained(seed=5), "suspect"),
            ("reference A", untrained(seed=20), "reference"),
            ("reference B", untrained(seed=21), "reference"),
            ("quiet", silent(), "reference"),
        ):
            self.step(f"model {name}")
            self.models[name] = register(self.world, name, weights, role)
        hard = self.models["labels only"]
        hard.spec |= {"returns": ["hard"]}
        hard.save()
        for name, role in (("trained", "suspect"), ("reference A", "reference")):
            self.step(f"model {name} elsewhere")
            weights = trained if role == "suspect" else untrained(seed=20)
            theirs = register(self.world, f"{name} again", weights, role)
            theirs.organisation, theirs.created_by = self.world.laboratory, self.world.guest_auditor
            theirs.save()
            self.models[theirs.name] = theirs
        for model in self.models.values():
            if model.is_reference:
                model.declaration, model.declared_by = "Trained before any release was made.", model.created_by
                model.declared_at = self.clock.at
                model.save()

    def values(self, name: str, copies: str, suspect: str, references: str = "", **more: Any) -> PlanValues:
        return PlanValues(
            name=name,
            version=self.woods,
            releases=[self.copies[one] for one in copies.split()],
            suspect=self.models[suspect],
            references=[self.models[one] for one in references.split(", ") if one],
            **SMALL | more,
        )

    def run(self, name: str, copies: str, suspect: str, references: str = "", by: User | None = None, **more: Any):
        self.step(f"plan {name}")
        by = by or self.world.auditor
        plan = lock(save_draft(self.values(name, copies, suspect, references, **more), by=by), by=by)
        self.step(f"run {name}")
        audit = queue(plan, by=by)
        audit = Audit.objects.get(pk=audit.pk)
        assert audit.state == Audit.State.DONE, (name, audit.job and audit.job.reason)
        self.audits[name] = audit

    def runs(self) -> None:
        """Real ones: images, sandbox, answers, scores."""
        two = {"further_primary": ["features"], "decide_with_references": True, "held_out": self.grove}
        self.run("without references", "North", "trained", wrong_key_control=False)
        self.run("with references", "North South", "trained", "reference A, reference B", **two)
        self.run("one reference", "South", "trained", "reference A")
        self.run("by a guest", "North South", "trained again", "reference A again", by=self.world.guest_auditor)
        self.run("bans and classes", "East", "plainly", "reference A")
        self.run("classes", "Inner", "plainly", level="features")
        self.run("plain marks", "West", "plainly", "reference A, reference B", decoys=39, exceedances=0)
        self.run("plain marks stopped", "West", "often", decoys=99, exceedances=2, wrong_key_control=False)
        self.run("two sets", "Both Pair", "trained", "reference A", decoys=39, exceedances=0, held_out=self.grove)
        self.run("two sets stopped", "Both", "often", "quiet", decoys=39, exceedances=2, further_primary=["features"])
        self.run("hard labels", "North", "labels only", level="hard")
        self.run("level without a reference", "South", "often", "quiet", further_primary=["features"])
        self.run("open series 1", "North", "plainly", series_is_open=True, level="hard")
        self.run("open series 2", "North", "plainly", series_is_open=True, level="features")
        self.run("alpha out of reach", "South", "plainly", alpha=0.001)

    def made_up(self) -> None:
        """Answers that nobody gave, judged and stored for real."""
        world, made = self.world, self.audits
        self.step("combined")
        made["several levels and sets"] = self.renamed(combined_audit(world), "several levels and sets", "Heath")
        for name, groups, restricted in (
            ("sampled permutations", 10, {}),
            ("within classes", 10, {"size_classes": (0,) * 5 + (1,) * 5}),
            ("more than can be counted", 12, {"forbidden": ((0, 1), (3, 7))}),
        ):
            self.step(name)
            names = tuple(f"group {number:02d}" for number in range(1, groups + 1))
            audit = large_audit(world, MarkSettings(groups=names, **restricted), self.clock.urandom(32).hex())
            made[name] = self.renamed(audit, name, f"Heath {groups}{' restricted' if restricted else ''}")
        self.step("bench")
        bench = Bench(world)
        bench.suspect.name = "bench suspect"
        bench.suspect.save()
        bench.version.dataset.name = "Downs"
        bench.version.dataset.save()
        strong = {("Northgate", "features"): 0.2, ("Southbank", "soft"): 0.2}
        several = {"further_primary": ["soft"]}
        for name, fields, more in (
            ("bench evidence", several, {"strengths": strong}),
            ("bench no evidence", {}, {}),
            ("bench once more", several, {"strengths": {("Northgate", "features"): 0.02}}),
            ("bench without soft", several, {"unscored": ("soft",)}),
            ("bench without secondary", {}, {"unscored": ("hard",), "strengths": strong}),
        ):
            self.step(name)
            made[name] = bench.stored(bench.queued(bench.plan(**fields), state="done", attempt=1), **more)
            self.locked(made[name], name)
        for state, asked in (("cancelled", True), ("failed", True), ("failed", False), ("queued", False)):
            name = f"bench {state}{' after it asked' if asked else ''}"
            self.step(name)
            made[name] = bench.queued(bench.plan())
            self.locked(made[name], name)
            bench.ended(made[name], state, asked)
        self.step("calibration")
        finished(world, families=("patch",), pairs=300, code="0.1.0 (sources 000000000000)")

    def locked(self, audit: Audit, name: str) -> None:
        """The bench locks its plans without a name, a time and a person."""
        facts = {"name": name, "locked_at": self.clock.at, "locked_by": self.world.auditor}
        Plan.objects.filter(pk=audit.plan_id).update(**facts)

    def renamed(self, audit: Audit, plan: str, dataset: str) -> Audit:
        """The builders call everything alike; names of models and plans must differ for people and the database."""
        Plan.objects.filter(pk=audit.plan_id).update(name=plan)
        for model in (audit.plan.suspect, *audit.plan.references.all()):
            model.name = f"{model.name} of {dataset}"
            model.save()
        audit.plan.version.dataset.name = dataset
        audit.plan.version.dataset.save()
        return audit

    def earlier_versions(self) -> None:
        self.step("first version")
        self.audits["first version"] = self.first(finished_audit(self.world, recipients=("Oak", "Pine")), "Fen")
        self.step("first version, nothing")
        quiet = finished_audit(self.world, auditor=self.world.guest_auditor, recipients=("Quince",), strength=0.0)
        self.audits["first version, nothing"] = self.first(quiet, "Moor")
        for name, of, version in (
            ("first version, real", "without references", 1),
            ("second version, plain marks", "plain marks", 2),
            ("second version, stopped", "plain marks stopped", 2),
            ("third version", "with references", 3),
            ("third version, classes", "bans and classes", 3),
            ("third version, sets", "two sets", 3),
            ("third version, plain marks", "plain marks", 3),
        ):
            self.step(name)
            self.audits[name] = older.copy_of(self.audits[of], name, version)

    def first(self, audit: Audit, dataset: str) -> Audit:
        audit = self.renamed(audit, f"first version of {dataset}", dataset)
        plan = Plan.objects.get(pk=audit.plan_id)
        plan.frozen = older.first_frozen(plan.frozen)
        plan.digest = older.digest_of(plan.frozen)
        plan.save()
        for row in audit.rows.all():
            row.result = older.first_result(row.result)
            row.save()
        return audit

    def drafts(self) -> None:
        """Plans of every kind that are yet to be locked, over suspects with runs of today and of earlier versions."""
        held = {"held_out": self.grove, "decide_with_references": True}
        for name, copies, suspect, references, more in (
            ("draft free", "North", "trained", "", {"wrong_key_control": False}),
            ("draft with references", "North South", "trained", "reference A, reference B", held),
            ("draft restricted", "East", "plainly", "", {"permutations": 5000, "level": "features"}),
            ("draft plain", "West", "often", "", {"decoys": 199, "exceedances": 0}),
            ("draft plain stopped", "West", "plainly", "reference A", {"decoys": 199, "exceedances": 20}),
            ("draft two sets", "Both Pair", "trained", "", {"further_primary": ["features", "hard"]}),
            ("draft open", "North", "plainly", "", {"series_is_open": True, "further_primary": ["hard"]}),
            ("draft hard", "North", "labels only", "", {"level": "hard"}),
        ):
            self.step(name)
            save_draft(self.values(name, copies, suspect, references, **more), by=self.world.auditor)
        self.step("draft of a guest")
        values = self.values("draft of a guest", "South", "trained again", "reference A again")
        save_draft(values, by=self.world.guest_auditor)

    def reports(self) -> None:
        """Issued now, and kept with the facts that each version's reports stated; their PDFs are not kept."""
        for name, version in REPORTED:
            self.step(f"report of {name}")
            report = Report.objects.get(pk=issue(self.audits[name], by=self.world.legal).pk)
            with report.json.open("rb") as stream:
                outer = json.load(stream)
            stored = older.report_facts(outer["facts"], version) if version else outer["facts"]
            content = canonical_json(outer | {"facts": stored})
            self.stored_reports[f"{report.number}.json"] = content
            report.json, report.json_sha256 = f"reports/{report.number}.json", hashlib.sha256(content).hexdigest()
            report.pdf = f"reports/{report.number}.pdf"
            report.save()

    def settle(self) -> None:
        """Takes away what no two machines do alike, and every secret."""
        for audit in Audit.objects.exclude(facts={}):
            spent = [_settled(model) for model in audit.facts["models"]]
            facts = _settled(audit.facts) | {"models": spent}
            Audit.objects.filter(pk=audit.pk).update(facts=facts)
        WatermarkKey.objects.update(sealed=b"sealed")
        User.objects.update(password="!", date_joined=BEGIN)
        Job.objects.update(worker="", detail="")


def _settled(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | ({"seconds": SECONDS} if "seconds" in facts else {})


MODELS = (
    "provenance.User", "provenance.Organisation", "provenance.Membership", "provenance.Dataset",
    "provenance.DatasetGrant", "provenance.Version", "provenance.WatermarkKey", "provenance.Release", "provenance.Job",
    "provenance.LogEntry", "audits.RegisteredModel", "audits.Plan", "audits.Audit", "audits.AuditRow",
    "audits.Calibration", "audits.Report",
)  # fmt: skip


def dump() -> str:
    """Everything as one JSON list, an object a line."""
    found = []
    for name in MODELS:
        rows = apps.get_model(name)._default_manager.order_by("pk")
        found += serializers.serialize("jsonl", rows).splitlines()
    return "[\n" + ",\n".join(found) + "\n]\n"
