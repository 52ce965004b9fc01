"""One command starts everything and leaves nothing behind; tests/test_whole_job.py kills it."""

import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.live import ROOT, Instance, runs, wait_for

pytestmark = pytest.mark.instance


@pytest.fixture
def instance(tmp_path):
    instance = Instance(tmp_path, empty=True)
    yield instance
    instance.remove()


def refused_up(instance: Instance, port: int) -> str:
    """What `up` says where it does not start."""
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    refused = subprocess.run(
        command, cwd=ROOT, env=instance.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    return refused.stderr


def test_it_starts_web_workers_and_sweeper_refuses_a_second_one_and_ctrl_c_leaves_nothing_running(instance):
    instance.start()
    wait_for(lambda: len(instance.family()) >= 7, 60, "web, two workers with a child each, sweeper")
    everybody = instance.family()
    with urllib.request.urlopen(f"{instance.url}/sign-in/") as page:
        assert page.headers["Content-Security-Policy"]
        assert b"unsafe" not in page.headers["Content-Security-Policy"].encode()
    assert "already running" in refused_up(instance, instance.port + 1)
    instance.stop()
    assert not [process for process in everybody if runs(process)]


def test_a_taken_port_is_told_in_words(tmp_path):
    instance = Instance(tmp_path, empty=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", instance.port))
        taken.listen()
        assert f"Port {instance.port} is taken" in refused_up(instance, instance.port)
