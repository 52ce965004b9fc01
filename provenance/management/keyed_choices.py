"""Options of commands about keyed choices: images that stay home, and pictures that come in one of two versions."""

from typing import Any

from django.core.management.base import CommandParser

from provenance.blocking.rule import BlockingError
from provenance.marks import SettingsError, VersionsSettings, WithheldSettings
from provenance.marks.presets import UNTOUCHED
from provenance.marks.sets import ChoiceSettings
from provenance.marks.versions import DEFAULT_DECIBELS, SHARE_BESIDE_MARKS, VERSIONS
from provenance.marks.versions import DEFAULT_SHARE as SHARE_IN_VERSIONS
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


def add_versions(parser: CommandParser) -> None:
    parser.add_argument(
        "--versions",
        action="store_true",
        help="pictures come in one of two faint versions, between which the key picks, beside what is struck; --preset "
        "versions does so and strikes nothing",
    )
    parser.add_argument(
        "--versions-share",
        type=float,
        help=f"of all images that come in one of two versions (default {SHARE_IN_VERSIONS:g}, or "
        f"{SHARE_BESIDE_MARKS:g} beside marks)",
    )
    parser.add_argument(
        "--decibels", type=float, help=f"PSNR between a version and its source (default {DEFAULT_DECIBELS:g})"
    )


def choice_of(version: Version, options: dict[str, Any]) -> ChoiceSettings | None:
    """The keyed choice that the options ask for."""
    alone = options["preset"] == VERSIONS
    if not options["versions"] and not alone:
        for name in ("versions_share", "decibels"):
            if options[name] is not None:
                raise SettingsError(
                    f"--{name.replace('_', '-')} is for versions: say --versions, or --preset versions."
                )
        return withheld_of(version, options)
    if options["withhold"] or options["blocks"] or options["preset"] == UNTOUCHED:
        raise SettingsError("A release makes one keyed choice: images that stay home, or versions, not both.")
    share, decibels = options["versions_share"], options["decibels"]
    usual = SHARE_IN_VERSIONS if alone else SHARE_BESIDE_MARKS
    return VersionsSettings(usual if share is None else share, DEFAULT_DECIBELS if decibels is None else decibels)


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
