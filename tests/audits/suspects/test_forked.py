"""Confined children are forked from one process that has loaded the libraries, and share nothing else."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import timm

from audits.suspects import ModelSpec, SuspectError
from audits.suspects.fork_server import CHILD_NAME
from audits.suspects.forked import end_server
from audits.suspects.sandbox import SandboxedModel
from tests.audits.builders_runs import untrained
from tests.audits.suspects.models import clip_model, clip_spec, onnx_file, save, seeded
from tests.live import wait_for

pytestmark = [pytest.mark.suspect, pytest.mark.long]

SPEC = ModelSpec("small_resnet:8:1-1", ("features",), input_size=24)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "suspect.safetensors"
    path.write_bytes(untrained(seed=5))
    return path


def process_of(suspect: SandboxedModel) -> psutil.Process:
    assert suspect._process is not None
    return psutil.Process(suspect._process.pid)


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # whoever inherited it has not looked yet
    except psutil.NoSuchProcess:
        return True


def test_two_suspects_have_one_server_and_each_a_process_of_its_own(weights):
    with SandboxedModel(SPEC, weights) as first, SandboxedModel(SPEC, weights) as second:
        one, two = process_of(first), process_of(second)
        assert one.pid != two.pid
        assert one.name() == two.name() == CHILD_NAME
        server = one.parent()
        assert server == two.parent()
        assert server.parent().pid == os.getpid()
        assert not {link.readlink() for link in Path(f"/proc/{one.pid}/fd").iterdir() if int(link.name) > 2} & {
            link.readlink() for link in Path(f"/proc/{server.pid}/fd").iterdir() if int(link.name) > 2
        }
    wait_for(lambda: has_ended(one), 10, "the first child to be gone")
    assert server.is_running()


def test_the_server_has_one_thread_whatever_it_was_asked_for(weights, tmp_path):
    """A lock that another thread of it holds would stay locked in a child."""
    seeded()
    suspects = [
        (SPEC, weights),
        (ModelSpec("timm:resnet10t", input_size=32), save(timm.create_model("resnet10t").state_dict(), tmp_path / "t")),
        (clip_spec(), save(clip_model().state_dict(), tmp_path / "clip")),
        (ModelSpec("onnx", input_size=16), onnx_file(tmp_path / "net.onnx")),
        (SPEC, weights),
    ]
    for spec, path in suspects:
        with SandboxedModel(spec, path) as suspect:
            assert suspect.info.feature_size
            assert process_of(suspect).parent().num_threads() == 1, spec.family


def test_what_the_server_knows_of_us_is_what_a_child_may_know(weights, monkeypatch):
    end_server()
    monkeypatch.setenv("DATABASE_URL", "postgresql://touchmark:secret@db/touchmark")
    with SandboxedModel(SPEC, weights) as suspect:
        server = process_of(suspect).parent()
        assert not {name for name in server.environ() if "SECRET" in name or "DATABASE" in name or "DJANGO" in name}
        assert {Path(file.path).suffix for file in server.open_files()} <= {".py", ".so", ".pyc"}


def test_a_server_that_is_killed_takes_its_children_along_and_the_next_suspect_gets_a_new_one(weights):
    with SandboxedModel(SPEC, weights) as suspect:
        suspect.load_images("probes", np.zeros((1, 24, 24, 3), np.uint8))
        child = process_of(suspect)
        child.parent().kill()
        wait_for(lambda: has_ended(child), 10, "the child to end with its server")
        with pytest.raises(SuspectError) as lost:
            suspect.answer("probes", [0])
        assert lost.value.kind == "killed"
    with SandboxedModel(SPEC, weights) as suspect:
        assert suspect.info.feature_size


def test_suspects_are_opened_from_several_threads_at_once(weights):
    sizes = []

    def ask() -> None:
        with SandboxedModel(SPEC, weights) as suspect:
            sizes.append(suspect.info.feature_size)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sizes) == 3
    assert len(set(sizes)) == 1


def test_a_child_that_ends_by_itself_is_told_with_its_signal(weights):
    with SandboxedModel(SPEC, weights) as suspect:
        process = suspect._process
        assert process is not None
        process_of(suspect).send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
