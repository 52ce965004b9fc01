"""The broker of an embedded instance: kombu's files, each of which is there as a whole or not at all.

Kombu's own channel opens a message under its final name and fills it then; its readers heed no lock. A worker that
took the empty file ended with a JSONDecodeError, and the message was lost.
"""

import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

from provenance.whole_files import write_whole


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        """Named as kombu names it, so that messages are taken in the order in which they came."""
        path = Path(self.data_folder_out) / f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        try:
            write_whole(path, lambda part: part.write_text(dumps(payload), encoding="utf-8"))
        except OSError as error:
            raise ChannelError(f"The message {path.name} cannot be written.") from error


class Transport(filesystem.Transport):
    Channel = Channel
