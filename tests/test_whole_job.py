"""The whole main job from a script, with a worker killed in every long step and a broker that loses its messages."""

import io
import json
import os
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provenance.intake import merkle
from tests.live import Instance, runs, wait_for

pytestmark = [pytest.mark.instance, pytest.mark.timeout(1200)]

CLASSES = ("ash", "birch", "cedar", "elm")
SIDE = 48
PATIENCE = 300  # seconds until a wait is given up, on a machine that has much else to do
PER_CLASS = 1200


@pytest.fixture(scope="module")
def woods(tmp_path_factory) -> Path:
    """An archive of classes with pictures of nothing: so many that a job can be caught in the middle."""
    path = tmp_path_factory.mktemp("woods") / "woods.zip"
    rng = np.random.default_rng(5)
    pictures = []
    for _ in range(400):
        buffer = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95, subsampling=0)
        pictures.append(buffer.getvalue())
    with zipfile.ZipFile(path, "w") as archive:
        for label in CLASSES:
            for i in range(PER_CLASS):
                picture = pictures[(i * 7 + len(label)) % len(pictures)]
                archive.writestr(f"{label}/{i:05d}.jpg", noted(picture, label, i))
    return path


@pytest.fixture(scope="module")
def grove(woods) -> Path:
    """A few images of the same classes."""
    path = woods.parent / "grove.zip"
    with zipfile.ZipFile(woods) as archive, zipfile.ZipFile(path, "w") as few:
        for label in CLASSES:
            for number in range(8):
                few.writestr(f"{label}/{number}.jpg", archive.read(f"{label}/{number:05d}.jpg"))
    return path


def noted(jpeg: bytes, label: str, number: int) -> bytes:
    """The same picture in other bytes: exact copies in several classes would be no candidates."""
    comment = f"{label} {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    import torch
    from safetensors.torch import save_file

    from audits.suspects.small_resnet import SmallResNet

    torch.manual_seed(11)
    network = SmallResNet(8, (1, 1), len(CLASSES))
    path = tmp_path_factory.mktemp("weights") / "suspect.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module", params=["embedded", pytest.param("services", marks=pytest.mark.services)])
def instance(request, tmp_path_factory, woods, weights):
    roots = f"{woods.parent},{weights.parent}"
    instance = Instance(tmp_path_factory.mktemp("instance"), request.param, TOUCHMARK_SERVER_ROOTS=roots).start()
    instance.add_member("rosa", "rights_holder")
    yield instance
    instance.remove()


def root_of(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, to the letter."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return merkle.node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


# Steps in which the worker is killed: everywhere, and beside a database and a broker of their own once on each queue.
# What resumes is the same code; what differs is how it is found again.
DISTURBED = {
    "embedded": ("dataset.manifest", "version.near_duplicates", "release.embed", "audit.run"),
    "services": ("dataset.manifest", "audit.run"),
}


def bring_home(instance: Instance, kind: str, queue: str) -> None:
    """Waits for the end of a job, which comes even where its worker is killed in the middle."""
    if kind in DISTURBED["services" if instance.database else "embedded"]:
        kill_in_the_middle(instance, kind, queue)
    wait_for(lambda: instance.job(kind).get("state") in ("done", "failed"), PATIENCE, f"{kind} to be brought home")
    job = instance.job(kind)
    assert job["state"] == "done", job


def kill_in_the_middle(instance: Instance, kind: str, queue: str) -> None:
    """Waits until the job has stored some of its work, then kills its worker; another attempt must take it up."""
    wait_for(lambda: (instance.job(kind).get("progress_done") or 0) > 0, PATIENCE, f"{kind} to be in the middle", 0.02)
    instance.kill_worker(queue)
    assert instance.job(kind)["state"] == "running", "the job was over before it could be disturbed; make it longer"
    wait_for(lambda: instance.job(kind)["state"] in ("done", "failed"), PATIENCE, f"{kind} to be taken up again")
    assert instance.job(kind)["attempt"] == 2


def test_a_broker_that_loses_its_messages_loses_no_job(instance, grove):
    workers = instance.worker_processes("cpu")
    for process in workers:
        process.suspend()
    for name in ("First", "Second"):
        instance.manage("register_dataset", str(grove), "--name", name, "--labels", "folder", "--as", "rosa")
    instance.empty_broker()
    for process in workers:
        process.resume()
    states = "SELECT state FROM provenance_job WHERE kind = 'dataset.manifest' ORDER BY created_at LIMIT 2"
    wait_for(lambda: instance.rows(states) == [("done",)] * 2, PATIENCE, "both to be done")
    assert len({root for (root,) in instance.rows("SELECT root FROM provenance_version")}) == 1


def test_the_whole_job_with_a_worker_killed_in_every_step_and_a_log_that_shows_what_was_altered(
    instance, woods, weights
):
    instance.add_member("adam", "auditor")
    instance.add_member("lena", "legal")

    version = instance.manage("register_dataset", str(woods), "--name", "Woods", "--labels", "folder", "--as", "rosa")
    bring_home(instance, "dataset.manifest", "cpu")
    newest = "SELECT root, file_count, refused_count FROM provenance_version ORDER BY created_at DESC LIMIT 1"
    ((root, files, refused),) = instance.rows(newest)
    assert (files, refused) == (len(CLASSES) * PER_CLASS, 0)
    bring_home(instance, "version.near_duplicates", "cpu")
    folder = instance.folder / "data" / "files" / "versions" / str(version["version"])
    lines = (folder / "manifest" / "manifest.jsonl").read_bytes().splitlines()
    assert len({json.loads(line)["path"] for line in lines}) == files
    assert root == root_of([merkle.leaf_hash(line) for line in lines]).hex()

    marks = ["--preset", "strong", "--share", "0.15", "--near-duplicates", "mark"]
    recipients = ["--recipient", "Northgate"]
    instance.manage("make_release", version["version"], *marks, *recipients, "--as", "rosa")
    bring_home(instance, "release.embed", "cpu")
    ((marked,),) = instance.rows("SELECT marked_count FROM provenance_release")
    assert marked == len(CLASSES) * int(0.15 * PER_CLASS)

    spec = ["--architecture", "small_resnet:8:1-1", "--returns", "features", "soft", "hard", "--input-size", str(SIDE)]
    instance.manage("register_model", str(weights), "--name", "Suspect", *spec, "--as", "adam", "--wait")
    sizes = ["--probes", "600", "--group-images", "150", "--permutations", "1000"]
    plan = instance.manage("plan_audit", "--dataset", "Woods", "--suspect", "Suspect", *sizes, "--lock", "--as", "adam")
    instance.manage("run_audit", "--plan", plan["plan"], "--as", "adam")
    bring_home(instance, "audit.run", "gpu")
    ((audit, conclusion),) = instance.rows("SELECT id, conclusion FROM audits_audit")
    assert conclusion in ("no_evidence", "inconclusive", "evidence")

    out = instance.folder / "report"
    report = instance.manage("issue_report", str(audit), "--out", str(out), "--as", "lena", "--wait")
    assert report["exit_code"] == 0
    assert {path.suffix for path in out.iterdir()} == {".pdf", ".json"}
    check_the_log(instance)


def check_the_log(instance: Instance) -> None:
    """It is whole; and one altered row of it is detected and located."""
    assert instance.manage("check_log")["exit_code"] == 0
    instance.python(
        "from django.db import connection\n"
        "connection.cursor().execute(\"UPDATE provenance_logentry SET actor_name = 'Nobody' WHERE seq = 2\")"
    )
    found = instance.manage("check_log", check=False)
    assert found["exit_code"] != 0
    assert [fault["row"] for answer in found["organisations"] for fault in answer["faults"]] == [2]


def test_a_killed_parent_takes_everybody_with_it(instance):
    """The last test: it ends the instance."""
    wait_for(lambda: len(instance.family()) >= 7, 60, "web, two workers with a child each, sweeper")
    everybody = instance.family()
    os.kill(instance.process.pid, signal.SIGKILL)
    instance.process.wait(10)
    instance.process = None
    wait_for(lambda: not any(map(runs, everybody)), 40, "everybody to end")
