"""The options that say which groups a mark has, alike for every command that takes mark settings."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from provenance.errors import TouchmarkError
from provenance.models import Version
from provenance.services import clusters
from provenance.services.release_plans import default_classes


def add_grouping(parser: CommandParser) -> None:
    parser.add_argument(
        "--association",
        choices=["associated", "plain"],
        default="associated",
        help="a pattern for each group, or one on all images without groups",
    )
    parser.add_argument("--group-by", choices=["class", "word", "cluster"], default="class")
    parser.add_argument(
        "--group",
        dest="groups",
        action="append",
        default=[],
        help="once for each group; without it the classes, or the clusters",
    )
    parser.add_argument(
        "--clusters", default="", metavar="DIGEST", help="which clusters the groups are, as cluster_images told"
    )


def grouping_of(version: Version, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the mark settings that these options fix: the groups as named, else all classes or clusters.

    Raises TouchmarkError where nobody named the words, and for clusters that the version does not have.
    """
    groups, group_by, association = tuple(options["groups"]), options["group_by"], options["association"]
    found = {"groups": groups, "group_by": group_by, "association": association}
    if association == "plain":
        return found
    if group_by == "cluster":
        chosen = clusters.named(version, str(options["clusters"]))
        return found | {"groups": groups or chosen.names, "clusters": chosen.digest}
    if group_by == "word" and not groups:
        raise TouchmarkError("Name the words that make the groups, each with --group.")
    return found | {"groups": groups or tuple(default_classes(version))}
