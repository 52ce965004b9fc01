"""Messages of the embedded instance's broker are whole, in order, and what ends a writer loses no reader."""

import threading
from queue import Empty

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

from config.celery import app


@pytest.fixture
def channel(tmp_path):
    (tmp_path / "control").mkdir()
    (tmp_path / "messages").mkdir()
    folders = {name: str(tmp_path / "messages") for name in ("data_folder_in", "data_folder_out")}
    with Connection(
        "filesystem://localhost", transport_options={**folders, "control_folder": str(tmp_path / "control")}
    ) as connection:
        yield connection.channel()


def test_messages_come_whole_and_in_order_while_others_are_written(channel):
    """With files that are filled under their final name, a reader soon finds an empty one."""
    sent = [{"number": number, "text": "x" * 20_000} for number in range(120)]
    writer = threading.Thread(target=lambda: [channel._put("cpu", one) for one in sent])
    writer.start()
    found = []
    while writer.is_alive() or len(found) < len(sent):
        try:
            found.append(channel._get("cpu"))
        except Empty:
            continue
    writer.join()
    assert sorted(one["number"] for one in found) == [one["number"] for one in sent]


def test_a_draft_is_no_message(channel, tmp_path):
    (tmp_path / "messages" / "1_a.cpu.msg.00aa.part").write_text("")
    with pytest.raises(Empty):
        channel._get("cpu")
    channel._put("cpu", {"number": 1})
    assert channel._get("cpu") == {"number": 1}


def test_a_folder_that_is_gone_is_told(channel, tmp_path):
    (tmp_path / "messages").rmdir()
    (tmp_path / "messages").write_text("a file")
    with pytest.raises(ChannelError, match="cannot be written"):
        channel._put("cpu", {})


def test_the_instance_uses_it():
    assert Connection("filesystem://localhost").transport_cls == "filesystem"
    assert type(Connection("filesystem://localhost").transport).__module__ == "config.local_broker"
    assert app.conf.task_serializer == "json"
