"""The clean images of an audit, where a version has exact copies: none of them was marked in the copy."""

import hashlib

import pytest

from audits.models import Plan
from audits.services.runs.chosen_images import choose_images
from provenance.models import Job
from provenance.services.jobs.running import JobRun
from tests.provenance.builders_releases import marked_version, ready_release

pytestmark = pytest.mark.django_db


def test_no_probe_and_no_group_image_is_an_exact_copy_of_a_marked_image(world):
    release = ready_release(world, marked_version(world, copies=2))
    Job.objects.filter(pk=release.job_id).update(state=Job.State.RUNNING)
    release.job.refresh_from_db()
    plan = Plan(probes=12, group_images=12, wrong_key_control=False)
    (chosen,) = choose_images(plan, release, JobRun(release.job))

    pairs = [(release.version.files_folder / path, release.folder / "files" / path) for path in _paths(release)]
    contents = [tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in pair) for pair in pairs]
    marked = {before for before, after in contents if before != after}
    asked = {sha256 for _, sha256 in chosen.probes + chosen.group_images}
    assert len(marked) >= 4
    assert len(asked) >= 8
    assert not asked & marked
    unmarked = {before for before, after in contents if before == after}
    assert not unmarked & marked


def _paths(release) -> list[str]:
    root = release.version.files_folder
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
