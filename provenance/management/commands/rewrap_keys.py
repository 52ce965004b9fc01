"""Seals all watermark keys anew under the current key-encryption key, after it was replaced."""

from typing import Any

from django.core.management.base import CommandParser

from provenance.keying import FileKeyProvider, KeyEncryptionKeyError
from provenance.management.base import TouchmarkCommand
from provenance.models import User
from provenance.services import keys


class Command(TouchmarkCommand):
    help = "Seal every watermark key under the current key-encryption key. Keys and commitments stay as they are."
    # It opens no key to anybody; whoever has this shell has the key-encryption keys too.
    acts_for_a_person = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--draw", action="store_true", help="draw a new key-encryption key first (key file only)")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        provider = keys.key_provider()
        if options["draw"]:
            if not isinstance(provider, FileKeyProvider):
                raise KeyEncryptionKeyError(
                    "Key-encryption keys come from the environment here. Put a new one first in "
                    "TOUCHMARK_KEY_ENCRYPTION_KEYS, restart, and run this command without --draw."
                )
            provider.rotate()
        return {"rewrapped": keys.rewrap_all(), "key_encryption_key": provider.current().id}
