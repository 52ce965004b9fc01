"""Options of commands about images that stay home."""

from typing import Any

from django.core.management.base import CommandParser

from provenance.blocking.rule import BlockingError
from provenance.marks import WithheldSettings
from provenance.marks.presets import UNTOUCHED
from provenance.marks.withheld import DEFAULT_SHARE
from provenance.models import Release, Version
from provenance.services.blockings import named_blocking


def add_withholding(parser: CommandParser) -> None:
    parser.add_argument(
        "--withhold",
        action="store_true",
        help="in every block of images the key picks one that stays home, beside what is struck; --preset untouched "
        "does so and strikes nothing",
    )
    parser.add_argument(
        "--blocks", default="", metavar="DIGEST", help="the blocks, as block_images told them; the newest if left out"
    )
    parser.add_argument(
        "--home-share",
        type=float,
        default=DEFAULT_SHARE,
        help=f"of all images that stay home (default {DEFAULT_SHARE:g})",
    )
    parser.add_argument(
        "--outlets",
        choices=Release.Outlets.values,
        default="",
        help="whether what stays home is kept from every other outlet; must be said where something does",
    )


def withheld_of(version: Version, options: dict[str, Any]) -> WithheldSettings | None:
    """The withheld set that the options ask for."""
    if not options["withhold"] and options["preset"] != UNTOUCHED:
        if options["blocks"]:
            raise BlockingError("Blocks are for images that stay home: say --withhold, or --preset untouched.")
        return None
    row = named_blocking(version, options["blocks"]) if options["blocks"] else version.blockings.first()
    if row is None:
        raise BlockingError("The images of this version are not in blocks yet. The command block_images does it.")
    return WithheldSettings(row.digest, row.block_size, options["home_share"])
