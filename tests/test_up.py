"""One command starts everything and leaves nothing behind, however it ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest

from tests.live import ROOT, Instance, wait_for

pytestmark = pytest.mark.instance


@pytest.fixture
def instance(tmp_path):
    instance = Instance(tmp_path)
    yield instance
    instance.remove()


def _family(instance: Instance) -> list[psutil.Process]:
    return psutil.Process(instance.process.pid).children(recursive=True)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # ended; whoever inherited it has not looked yet
    except psutil.NoSuchProcess:
        return False


def test_it_starts_web_workers_and_sweeper_and_ctrl_c_leaves_nothing_running(instance):
    instance.start()
    wait_for(lambda: len(_family(instance)) >= 7, 60, "web, two workers with a child each, sweeper")
    everybody = _family(instance)
    with urllib.request.urlopen(f"{instance.url}/sign-in/") as page:
        assert page.headers["Content-Security-Policy"]
        assert b"unsafe" not in page.headers["Content-Security-Policy"].encode()
    instance.stop()
    assert not [process for process in everybody if _runs(process)]


def test_a_second_instance_on_the_same_data_is_refused_and_a_killed_parent_takes_everybody_with_it(instance):
    instance.start()
    command = [sys.executable, "manage.py", "up", "--port", str(instance.port + 1)]
    second = subprocess.run(
        command, cwd=ROOT, env=instance.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode != 0
    assert "already running" in second.stderr

    wait_for(lambda: len(_family(instance)) >= 7, 60, "all processes")
    everybody = _family(instance)
    os.kill(instance.process.pid, signal.SIGKILL)
    instance.process.wait(10)
    instance.process = None
    wait_for(lambda: not any(_runs(process) for process in everybody), 40, "everybody to end")


def test_a_taken_port_is_told_in_words(tmp_path):
    instance = Instance(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", instance.port))
        taken.listen()
        command = [sys.executable, "manage.py", "up", "--port", str(instance.port)]
        refused = subprocess.run(
            command, cwd=ROOT, env=instance.environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert refused.returncode != 0
    assert f"Port {instance.port} is taken" in refused.stderr
