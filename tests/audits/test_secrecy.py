"""Whoever may not see the assignment sees the same whatever it is: behind one view lies a world of each assignment."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from audits.judging import codec
from audits.judging.assignments import Rules, Secrets, judge_level
from audits.judging.disclosure import full, withheld
from audits.judging.levels import Unscored
from audits.judging.result import COMBINED, AssociatedResult, CombinedResult, Restricted, Result, Shuffle
from audits.judging.scoring import LevelScores
from audits.judging.sets import combine_levels
from audits.statistics.density import DensityScores
from provenance.marks import MarkSettings
from tests.audits.builders_reports import GROUPS

COUNT = len(GROUPS)
MATRICES = ("pulls", "residual", "centred")
RULES = Rules("ab" * 32, "soft", 0.01, 1000, decide_with_references=True)
CLASSES = (0, 0, 0, 0, 1, 1)
# Random orders: of patterns, as earlier versions drew one, and of groups, which would not hide a matrix.
PATTERNS, ORDER = (3, 1, 0, 2, 5, 4), (5, 0, 3, 1, 4, 2)
ASSIGNMENT = np.array([1, 3, 0, 2, 5, 4])  # within CLASSES
ALL_ORDERS = list(permutations(range(COUNT)))


IN_PLACE = np.arange(COUNT)


def scores(seed: int, moved: np.ndarray, order: np.ndarray = IN_PLACE) -> LevelScores:
    """What a model does to patterns and groups; `moved`: group g of the first world is called moved[g] here.

    order: which of its patterns is the first here, the second …
    """
    rng = np.random.default_rng(seed)
    pulls, wrong = rng.normal(size=(2, COUNT, COUNT))
    renamed = np.empty_like(pulls), np.empty_like(wrong)
    for source, target in zip((pulls, wrong), renamed, strict=True):
        target[:, moved] = source
    densities = tuple(DensityScores(*values) for values in rng.normal(0.01, 0.002, (COUNT, 4)))
    return LevelScores(renamed[0][order], tuple(densities[j] for j in order), renamed[1], 0)


def result_of(
    moved: np.ndarray, settings: MarkSettings, seed: int = 1, order: np.ndarray = IN_PLACE
) -> AssociatedResult:
    """The stored result in a world whose groups are called otherwise, so that the key's assignment is another one."""
    wrong = moved[np.array([0, 1, 2, 3, 4, 5])]
    secrets = Secrets(moved[ASSIGNMENT][order], wrong, settings.restriction)
    references = {f"reference-{n}": scores(100 * seed + n, moved, order) for n in (1, 2)}
    level = judge_level("soft", scores(seed, moved, order), references, secrets, RULES, "release")
    restriction = None
    if settings.restriction is not None:
        classes, bans = settings.size_classes, len(settings.forbidden)
        restriction = Restricted(classes, bans, settings.restriction.possible())
    return AssociatedResult(
        level="soft",
        levels={"soft": level, "hard": Unscored("The model says the same to every image.")},
        groups=settings.groups,
        assignment=tuple(moved[ASSIGNMENT][order].tolist()),
        shuffle=Shuffle(PATTERNS),
        probes_digest="ab" * 32,
        restriction=restriction,
    )


def seen(result: Result) -> dict:
    return codec.write(withheld(result))


def full_of(result: Result) -> dict:
    return codec.write(full(result))


def rounded(value):
    """Sums in another order differ by rounding."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.9f}") + 0.0 if isinstance(value, float) else value


FREE = MarkSettings(groups=tuple(GROUPS))
CLASSED = MarkSettings(groups=tuple(GROUPS), size_classes=CLASSES)
WITHIN = [np.array(moved) for moved in ([0, 1, 2, 3, 4, 5], [3, 0, 1, 2, 5, 4], [1, 0, 3, 2, 4, 5], [2, 3, 0, 1, 5, 4])]
ANY = [*WITHIN, np.array([5, 4, 3, 2, 1, 0]), np.array([4, 0, 5, 1, 2, 3])]


@pytest.mark.parametrize(("mark", "worlds"), [(FREE, ANY), (CLASSED, WITHIN)])
def test_an_auditor_sees_the_same_in_worlds_of_different_assignments(mark, worlds):
    results = [result_of(moved, mark) for moved in worlds]
    assert len({tuple(result.assignment) for result in results}) == len(worlds)
    views = [rounded(seen(result)) for result in results]
    assert all(view == views[0] for view in views)
    assert len({tuple(full_of(result)["assignment"]) for result in results}) == len(worlds)


@pytest.mark.parametrize("mark", [FREE, CLASSED])
def test_an_auditor_sees_the_same_whichever_pattern_is_which(mark):
    """So nothing that is seen of two runs can tell which pattern of one is which of the other."""
    stored = [result_of(IN_PLACE, mark, order=order) for order in (ANY if mark is FREE else WITHIN)]
    assert len({result.assignment for result in stored}) == len(stored)
    views = [seen(result) for result in stored]
    assert all(rounded(view) == rounded(views[0]) for view in views)
    assert all(view["levels"]["soft"]["means"] == views[0]["levels"]["soft"]["means"] for view in views)  # each bit
    assert rounded(full_of(stored[0])) != rounded(full_of(stored[1]))


def test_so_in_several_sets_each_with_an_order_of_its_own():
    def release(first: np.ndarray, second: np.ndarray) -> CombinedResult:
        sets = replace(result_of(first, FREE, 1), set=1), replace(result_of(second, CLASSED, 2), set=2)
        levels = combine_levels([one.levels for one in sets], RULES)
        return CombinedResult(test=COMBINED, level="soft", levels=levels, probes_digest="cd" * 32, sets=sets)

    views = [rounded(seen(release(first, second))) for first in ANY for second in WITHIN]
    assert all(view == views[0] for view in views)
    assert not {"assignment", "shuffle", "groups"} & names_in(views[0])


@pytest.mark.parametrize("mark", [FREE, CLASSED])
def test_no_matrix_is_shown_whatever_its_order(mark):
    """Who holds the model knows which group it answers how, so columns can be named where its outputs are few."""
    rng = np.random.default_rng(5)
    shift, own = rng.normal(size=(COUNT, 3)), rng.normal(size=(COUNT, 3))  # by pattern; outputs on each group's images
    stored, matrix = result_of(np.arange(COUNT), mark), (shift @ own.T)[list(PATTERNS)][:, list(ORDER)]
    spanned = np.linalg.qr(matrix.T)[0][:, :3]
    misfit = {order: np.abs(own[list(order)] - spanned @ spanned.T @ own[list(order)]).max() for order in ALL_ORDERS}
    assert min(misfit, key=misfit.__getitem__) == ORDER  # so a shuffled matrix would hide nothing
    assert not set(MATRICES) & names_in(seen(stored))
    assert set(MATRICES[:2]) <= names_in(full_of(stored))


def test_with_bans_no_matrix_is_shown():
    """An auditor learns how many bans there are and no more."""
    settings = MarkSettings(groups=tuple(GROUPS), forbidden=((0, 5), (3, 4)))
    view = seen(result_of(np.arange(COUNT), settings))
    assert not set(MATRICES) & names_in(view)
    assert view["restriction"] == {"size_classes": 0, "forbidden": 2, "possible": settings.restriction.possible()}
    assert view["levels"]["soft"]["means"]
    owner = full_of(result_of(np.arange(COUNT), settings))
    assert set(MATRICES) <= set(owner["levels"]["soft"])
    # Two lists of bans that differ in their place alone look alike, given that the numbers of the test do.
    moved = settings.replace(forbidden=((1, 2), (4, 0)))
    other = seen(result_of(np.arange(COUNT), moved))
    assert other["restriction"]["forbidden"] == view["restriction"]["forbidden"]
    assert names_in(other) == names_in(view)


def names_in(value) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names_in(item)}
    return {name for item in value for name in names_in(item)} if isinstance(value, list) else set()
