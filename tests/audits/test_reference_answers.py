"""A reference is asked once per key and probes: the next audit with the same question reads what it answered."""

import pytest

from audits.models import Audit
from audits.services import audits
from audits.services.reference_answers import Asking, answered_before, shared_folder
from tests.audits.builders_runs import locked_plan, make_releases, make_version, register, untrained

pytestmark = pytest.mark.django_db(transaction=True)


def run(world, plan) -> Audit:
    audit = Audit.objects.get(pk=audits.queue(plan, by=world.auditor).pk)
    assert (audit.state, audit.job.reason) == ("done", "")
    return audit


def notes(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}


def test_the_second_suspect_costs_no_question_to_the_reference(world):
    (release,) = make_releases(world, make_version(world), "North")
    reference = register(world, "reference", untrained(2), "reference")
    first = locked_plan(world, [release], register(world, "first", untrained(3)), references=[reference])
    asking = Asking(reference, 0, first.probes, first.group_images)
    assert answered_before(release, asking) == 0
    one = run(world, first)
    kept = notes(shared_folder(release))
    # Clean probes, six patterns on them, and what images of the six groups there are.
    assert 40 * 7 < answered_before(release, asking) <= 40 * 7 + 6 * 8
    assert not (one.folder / "answers" / str(release.pk) / str(reference.pk)).exists()

    second = locked_plan(world, [release], register(world, "second", untrained(4)), references=[reference])
    two = run(world, second)
    assert notes(shared_folder(release)) == kept
    name = "reference"
    for level in ("features", "soft"):
        alone = [
            [c["p"] for c in audit.rows.get().result["levels"][level]["controls"] if c["name"] == name]
            for audit in (one, two)
        ]
        assert alone[0] == pytest.approx(alone[1], abs=0.01)  # the same pulls; permutations are all enumerated

    # Other probes are another question.
    run(world, locked_plan(world, [release], second.suspect, references=[reference], probes=30))
    assert len(notes(shared_folder(release))) > len(kept)
