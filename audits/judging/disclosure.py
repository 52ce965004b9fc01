"""What an auditor may see of a result: nothing from which the secret assignment could be derived.

Patterns come in an order drawn once at random and kept with the result, so that every table and JSON answer of a mark
set uses the same one and nothing can be told from their differences; each set has an order of its own, and what the
sets say together names no pattern and no group.
"""

from typing import Any

MATRICES = ("pulls", "residual", "centred")  # of a level of an associated set, pattern by group
RANK, COMBINED = "rank", "combined"  # the result's "test"; a permutation test has none there


def full(result: dict[str, Any]) -> dict[str, Any]:
    """The result with the true assignment; patterns are named by number, groups by name."""
    result = dict(result)
    if "sets" in result:
        return result | {"shuffled": False, "sets": [_full(one) for one in result["sets"]]}
    return _full(result)


def _full(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("test") == RANK:
        return result | {"shuffled": False}
    names = result["groups"]
    return {name: value for name, value in result.items() if name != "shuffle"} | {
        "shuffled": False,
        "pattern_names": [f"Pattern {number + 1}" for number in range(len(names))],
        "group_names": list(names),
    }


def shuffled(result: dict[str, Any]) -> dict[str, Any]:
    """The result with patterns in its kept random order, without names, assignment or matrices."""
    result = dict(result)
    if "sets" in result:
        return result | {"shuffled": True, "sets": [_shuffled(one) for one in result["sets"]]}
    return _shuffled(result)


def _shuffled(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("test") == RANK:
        return result | {"shuffled": True, "levels": {n: _without_true(level) for n, level in result["levels"].items()}}
    patterns = result["shuffle"]["patterns"]
    shown = {name: value for name, value in result.items() if name not in ("shuffle", "assignment", "groups")}
    restriction = result.get("restriction")
    if restriction:
        # Which group is in which class would name the groups of a class that stands alone in its size.
        shown["restriction"] = restriction | {"size_classes": len(set(restriction["size_classes"]))}
    levels = {name: _shuffled_level(level, patterns) for name, level in result["levels"].items()}
    return shown | {
        "shuffled": True,
        "levels": levels,
        "pattern_names": [f"Pattern {letter}" for letter in letters(len(patterns))],
        "group_names": [f"Group {letter}" for letter in letters(len(patterns))],
    }


def _without_true(level: dict[str, Any]) -> dict[str, Any]:
    """A rank test's level with nothing about the true key but its Q: all that is left is in the order of size."""
    if "densities" not in level:
        return level
    return level | {"densities": {"decoys": level["densities"]["decoys"]}}


def _shuffled_level(level: dict[str, Any], patterns: list[int]) -> dict[str, Any]:
    """One level, its patterns in the shuffled order, without any matrix of patterns and groups.

    No order would hide what is in one. Auditors hold the model and may look at the images, so they know what it answers
    to each group; where its outputs are fewer than the groups, that alone tells which column is which group, and the
    published statistic tells which cells are the key's. Bans give rows and columns away as well.
    """
    if "pulls" not in level:  # a level that could not be scored holds its reason only
        return level
    shown = {name: value for name, value in level.items() if name not in MATRICES}
    # A pattern's pull to its own group is a cell of the matrix.
    shown["densities"] = [
        {key: value for key, value in level["densities"][j].items() if key != "pull"} for j in patterns
    ]
    return shown


def letters(count: int) -> list[str]:
    """A, B … Z, AA, AB …"""
    names = []
    for number in range(count):
        name = ""
        while number >= 0:
            name = chr(ord("A") + number % 26) + name
            number = number // 26 - 1
        names.append(name)
    return names
