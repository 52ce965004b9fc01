"""Datasets and versions, from registering to the pages."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from provenance.intake.merkle import leaf_hash, verify_inclusion
from provenance.models import Dataset, Job, LogEntry, Version
from provenance.services import datasets
from provenance.services.datasets import DatasetError, VersionSource
from provenance.services.jobs import queue, worker
from tests.provenance.builders_datasets import MEMBERS, archive, folder, ready, registered, uploaded
from tests.provenance.intake.samples import jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.long]


def page(browser, name, /, query="", **kwargs):
    answer = browser.get(reverse(name, kwargs=kwargs) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def verbs(organisation):
    return list(LogEntry.objects.filter(organisation=organisation).order_by("seq").values_list("verb", flat=True))


def test_an_uploaded_archive_becomes_a_frozen_version(world, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        version = ready(world)
    assert version.state == Version.State.READY
    assert (version.number, version.file_count, version.refused_count) == (1, 12, 0)
    assert version.facts["labels"] == {"a": 4, "b": 4, "c": 4}
    assert len(version.root) == 64
    assert (version.files_folder / "a/0.jpg").read_bytes() == MEMBERS[0][1]
    assert not version.upload.path.exists()  # its room is given back
    counted = "version.near_duplicates_counted"
    assert verbs(world.owner) == ["dataset.registered", "version.added", "version.ready", counted]
    assert LogEntry.objects.get(verb="version.ready").digests == {"manifest_root": version.root}


def test_a_folder_on_the_server_is_read_in_place(world, settings, tmp_path):
    settings.SERVER_ROOTS = [tmp_path / "open"]
    source = folder(tmp_path / "open" / "meadows")
    version = datasets.register(
        world.owner, name="Meadows", source=VersionSource(server_path=str(source)), by=world.rights_holder
    )
    worker.run(str(version.job_id))
    version.refresh_from_db()
    assert version.state == Version.State.READY
    assert version.files_folder == source
    assert not (version.folder / "files").exists()


def test_only_what_lies_below_an_open_root_can_be_named(world, settings, tmp_path):
    settings.SERVER_ROOTS = [tmp_path / "open"]
    folder(tmp_path / "closed")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "closed")
    sentences = set()
    for path in ("closed", "open/link", "open/../closed", "absent"):
        with pytest.raises(DatasetError) as caught:
            datasets.resolve_server_path(str(tmp_path / path))
        sentences.add(caught.value.sentence.replace(str(tmp_path / path), ""))
    assert len(sentences) == 1  # whether something is there is not told
    settings.SERVER_ROOTS = []
    with pytest.raises(DatasetError, match="administrator"):
        datasets.resolve_server_path(str(tmp_path / "closed"))


def test_changed_files_make_a_new_version_and_the_old_one_stays(world):
    first = ready(world)
    changed = uploaded(world.rights_holder, world.owner, archive([*MEMBERS, ("d/9.jpg", jpeg(999))]), "more.zip")
    second = datasets.add_version(first.dataset, VersionSource(upload=changed), by=world.rights_holder)
    worker.run(str(second.job_id))
    second.refresh_from_db()
    first.refresh_from_db()
    assert (first.number, second.number) == (1, 2)
    assert first.root != second.root
    assert first.dataset.newest_version == second


def test_a_broken_archive_fails_with_a_sentence_and_runs_again_after_a_retry(world):
    upload = uploaded(world.rights_holder, world.owner, b"PK\x03\x04" + bytes(200), "broken.zip")
    version = datasets.register(world.owner, name="Broken", source=VersionSource(upload=upload), by=world.rights_holder)
    worker.run(str(version.job_id))
    version.refresh_from_db()
    assert version.state == Version.State.FAILED
    assert "damaged" in version.job.reason
    assert verbs(world.owner)[-1] == "version.failed"
    upload.path.write_bytes(archive())
    # The archive changed under the hands of the intake, which is refused; what it began must go first.
    (version.folder / "work" / "source.json").unlink()
    queue.retry(version.job, by=world.rights_holder)
    worker.run(str(version.job_id))
    version.refresh_from_db()
    assert version.state == Version.State.READY


def test_a_name_is_used_once_in_an_organisation(world):
    ready(world)
    upload = uploaded(world.rights_holder, world.owner)
    with pytest.raises(DatasetError, match="already"):
        datasets.register(world.owner, name="Meadows ", source=VersionSource(upload=upload), by=world.rights_holder)


def test_only_rights_holders_register_and_grant(world):
    version = ready(world)
    for who in (world.auditor, world.legal, world.administrator, world.outsider):
        with pytest.raises(PermissionDenied):
            datasets.grant(version.dataset, "gita", by=who)
        with pytest.raises(PermissionDenied):
            datasets.register(world.owner, name="x", source=VersionSource(), by=who)


def test_a_grant_shows_the_dataset_to_an_auditor_elsewhere_until_it_is_taken_back(world, sign_in):
    version = ready(world)
    guest, owner = sign_in(world.guest_auditor), sign_in(world.rights_holder)
    url = reverse("dataset_detail", kwargs={"pk": version.dataset_id})
    assert guest.get(url).status_code == 404
    answer = owner.post(reverse("dataset_grant", kwargs={"pk": version.dataset_id}), {"username": "Gita"}, follow=True)
    assert "may now plan audits" in answer.content.decode()
    assert "Meadows" in page(guest, "dataset_detail", pk=version.dataset_id)
    assert "Grant the dataset" not in page(guest, "dataset_detail", pk=version.dataset_id)
    grant = version.dataset.grants.get()
    owner.post(reverse("dataset_revoke", kwargs={"pk": version.dataset_id, "grant": grant.pk}))
    assert guest.get(url).status_code == 404
    assert verbs(world.owner)[-2:] == ["dataset.granted", "dataset.grant_revoked"]


@pytest.mark.parametrize(
    ("username", "message"), [("nobody", "no auditor"), ("lena", "no auditor"), ("adam", "needs no grant")]
)
def test_grants_that_make_no_sense_are_refused_on_the_page(world, sign_in, username, message):
    version = ready(world)
    url = reverse("dataset_grant", kwargs={"pk": version.dataset_id})
    assert message in sign_in(world.rights_holder).post(url, {"username": username}).content.decode()
    assert not version.dataset.grants.exists()


def test_the_form_registers_and_leads_to_the_version(world, sign_in):
    upload = uploaded(world.rights_holder, world.owner)
    browser = sign_in(world.rights_holder)
    answer = browser.post(
        reverse("dataset_new"),
        {
            "organisation": str(world.owner.pk),
            "name": "Meadows",
            "modality": "images",
            "upload": str(upload.pk),
            "labels": "folder",
            "labels_file": "labels.csv",
        },
    )
    version = Version.objects.get()
    assert answer["Location"] == reverse("version_detail", kwargs={"pk": version.pk})
    waiting = page(browser, "version_detail", pk=version.pk)
    assert "being read" in waiting
    assert reverse("job_card", kwargs={"pk": version.job_id}) in waiting


def test_the_form_says_what_is_missing_and_keeps_the_upload(world, sign_in, settings, tmp_path):
    settings.SERVER_ROOTS = [tmp_path]
    browser = sign_in(world.rights_holder)
    about = {"organisation": str(world.owner.pk), "name": "", "modality": "images", "labels": "none"}
    text = browser.post(reverse("dataset_new"), about).content.decode()
    assert "Choose an archive" in text
    text = browser.post(reverse("dataset_new"), about | {"server_path": "/etc"}).content.decode()
    assert "There is no folder" in text
    upload = uploaded(world.rights_holder, world.owner)
    text = browser.post(reverse("dataset_new"), about | {"upload": str(upload.pk)}).content.decode()
    assert "uploaded already" in text
    assert not Dataset.objects.exists()


def test_somebody_elses_upload_is_not_found(world, sign_in):
    upload = uploaded(world.auditor, world.owner)
    about = {"organisation": str(world.owner.pk), "name": "x", "modality": "images", "labels": "none"}
    answer = sign_in(world.rights_holder).post(reverse("dataset_new"), about | {"upload": str(upload.pk)})
    assert answer.status_code == 404


def test_the_pages_of_a_version_show_facts_files_proofs_and_issues(world, sign_in):
    members = [*MEMBERS, ("notes.txt", b"x"), ("z/copy.jpg", MEMBERS[0][1]), ("<b>.jpg", jpeg(77))]
    version = ready(world, members=members)
    browser = sign_in(world.legal)
    detail = page(browser, "version_detail", pk=version.pk)
    assert version.root in detail
    assert "1 file refused" in detail
    files = page(browser, "version_files", pk=version.pk)
    assert "&lt;b&gt;.jpg" in files
    assert "<b>.jpg" not in files
    found = page(browser, "version_files", "?q=b/3", pk=version.pk)
    assert "b/3.jpg" in found
    assert "a/0.jpg" not in found
    assert "Nothing fits" in page(browser, "version_files", "?q=absent", pk=version.pk)
    assert "holds" in page(browser, "version_file", pk=version.pk, index=0)
    issues = page(browser, "version_issues", pk=version.pk)
    assert "not an image" in issues
    assert "z/copy.jpg" in issues


def test_long_manifests_and_searches_are_paged(world, sign_in):
    version = ready(world, members=[(f"x/{number:04d}.jpg", jpeg(number)) for number in range(120)])
    browser = sign_in(world.rights_holder)
    assert "x/0100.jpg" in page(browser, "version_files", "?page=3", pk=version.pk)
    second = page(browser, "version_files", "?q=x/&page=2", pk=version.pk)
    assert "x/0050.jpg" in second
    assert "x/0049.jpg" not in second
    assert "Matches from 101 on" in page(browser, "version_files", "?q=x/&page=3", pk=version.pk)
    page(browser, "version_files", "?q=x/&page=nonsense", pk=version.pk)


def test_a_downloaded_proof_can_be_checked_by_anybody(world, sign_in):
    version = ready(world)
    browser = sign_in(world.auditor)
    proof = browser.get(reverse("version_proof", kwargs={"pk": version.pk, "index": 5})).json()
    siblings = [bytes.fromhex(sibling) for sibling in proof["siblings"]]
    leaf = leaf_hash(proof["line"].encode())
    assert verify_inclusion(leaf, proof["index"], proof["files"], siblings, bytes.fromhex(version.root))
    assert browser.get(reverse("version_proof", kwargs={"pk": version.pk, "index": 99})).status_code == 404


def test_a_manifest_that_was_altered_on_disk_is_said_to_be(world, sign_in):
    version = ready(world)
    path = version.manifest_folder / "manifest.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"width":24', b'"width":25', 1))
    assert "does not hold" in page(sign_in(world.legal), "version_file", pk=version.pk, index=0)


def test_pictures_are_drawn_anew_and_never_served_as_brought(world, sign_in):
    version = ready(world)
    answer = sign_in(world.legal).get(reverse("version_image", kwargs={"pk": version.pk, "index": 2}))
    assert answer["Content-Type"] == "image/webp"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content.startswith(b"RIFF")
    (version.files_folder / "a/3.jpg").unlink()
    url = reverse("version_image", kwargs={"pk": version.pk, "index": 3}) + "?size=large"
    assert sign_in(world.legal).get(url).status_code == 404


def test_the_list_searches_and_shows_only_what_is_visible(world, sign_in):
    ready(world, name="Meadows")
    ready(world, name="Harbours")
    browser = sign_in(world.auditor)
    assert "Meadows" in page(browser, "dataset_list")
    narrowed = page(browser, "dataset_list", "?q=harb")
    assert "Harbours" in narrowed
    assert "Meadows" not in narrowed
    assert "Meadows" not in page(sign_in(world.outsider), "dataset_list")
    assert "Meadows" not in page(sign_in(world.administrator), "dataset_list")


def test_captions_of_pairs_come_from_a_csv_in_the_archive(world, sign_in):
    csv = "path,label,caption\na/0.jpg,meadow,a green meadow\nabsent.jpg,x,y\n"
    version = ready(
        world, members=[*MEMBERS, ("labels.csv", csv.encode())], labels=Version.Labels.CSV, modality="pairs"
    )
    assert (version.facts["captioned"], version.facts["label_problems"], version.file_count) == (1, 1, 12)
    assert "a green meadow" in page(sign_in(world.legal), "version_file", pk=version.pk, index=0)
    assert "absent.jpg" in page(sign_in(world.legal), "version_issues", pk=version.pk)


def test_a_cancelled_intake_goes_on_when_it_is_run_again(world, monkeypatch):
    version = registered(world, members=[(f"x/{number:04d}.jpg", jpeg(number)) for number in range(1500)])
    monkeypatch.setattr("provenance.services.jobs.running.PROGRESS_SECONDS", 0.0)
    Job.objects.filter(pk=version.job_id).update(cancel_requested=True)
    worker.run(str(version.job_id))
    version.refresh_from_db()
    assert version.job.state == Job.State.CANCELLED
    assert version.state == Version.State.FAILED
    assert (version.folder / "work").exists()
    queue.retry(version.job, by=world.rights_holder)
    worker.run(str(version.job_id))
    version.refresh_from_db()
    assert version.state == Version.State.READY
    assert version.file_count == 1500


# Headless -------------------------------------------------------------------------------------------------------------


def command(capsys, *arguments: object):
    """(exit code, JSON answer) of register_dataset."""
    code = 0
    try:
        call_command("register_dataset", *map(str, arguments), "--json")
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(capsys.readouterr().out)


def test_the_command_registers_waits_and_answers_in_json(world, settings, tmp_path, capsys):
    settings.SERVER_ROOTS = [tmp_path]
    (tmp_path / "meadows.zip").write_bytes(archive())
    about = (tmp_path / "meadows.zip", "--name", "Meadows", "--as", "rosa", "--labels", "folder", "--here")
    code, answer = command(capsys, *about)
    assert (code, answer["state"], answer["files"], answer["number"]) == (0, "ready", 12, 1)
    assert answer["root"] == Version.objects.get().root
    code, again = command(capsys, *about)
    assert (code, again["number"], again["dataset"], again["root"]) == (0, 2, answer["dataset"], answer["root"])


@pytest.mark.parametrize(
    ("who", "path", "message"), [("lena", "a", "not a rights-holder"), ("rosa", "absent", "no folder")]
)
def test_the_command_refuses_with_a_sentence(world, settings, tmp_path, capsys, who, path, message):
    settings.SERVER_ROOTS = [tmp_path]
    folder(tmp_path / "a")
    code, answer = command(capsys, tmp_path / path, "--name", "x", "--as", who)
    assert code == 1
    assert message in answer["error"]


def test_the_command_fails_when_the_job_does(world, settings, tmp_path, capsys):
    settings.SERVER_ROOTS = [tmp_path]
    (tmp_path / "a.zip").write_bytes(b"nonsense")
    code, answer = command(capsys, tmp_path / "a.zip", "--name", "x", "--as", "rosa", "--here")
    assert code == 1
    assert "not an archive" in answer["error"]
