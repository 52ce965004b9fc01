"""Whatever shape a version stored a result in: it is read as a typed value and written again to the last byte."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.judging import codec
from audits.judging.codec import UnreadableError
from audits.judging.levels import AssociatedLevel, PermutationTest, RankTest, Unscored
from audits.judging.result import AssociatedResult, CombinedResult, Findings, RankedResult
from audits.statistics.combination import Combination
from audits.statistics.density import LEVELS
from provenance.canonical import canonical_json

GROUPS = 3
# A database may hand back a whole number where a float was stored.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
COUNTS, TEXTS = st.integers(0, 10**9), st.text(max_size=6)
SCORES = dict.fromkeys(("gain", "divergence", "displacement", "coherence"), NUMBERS)


def numbers(count: int = GROUPS) -> st.SearchStrategy[list[float]]:
    return st.lists(NUMBERS, min_size=count, max_size=count)


MATRICES = st.lists(numbers(), min_size=GROUPS, max_size=GROUPS)
PERMUTATION = st.fixed_dictionaries(
    dict.fromkeys(("statistic", "z", "p", "p_lower", "smallest_p"), NUMBERS)
    | dict.fromkeys(("exceedances", "below", "permutations"), COUNTS)
    | {"exact": st.booleans(), "edges": numbers(), "counts": st.lists(COUNTS, max_size=3)}
)
RANKS = st.fixed_dictionaries(
    dict.fromkeys(("statistic", "p", "p_lower", "smallest_p"), NUMBERS)
    | dict.fromkeys(("exceedances", "decoys", "planned", "looks"), COUNTS)
    | {"stopped": st.booleans(), "distances": numbers()}
)
COMBINATION = st.fixed_dictionaries(
    dict.fromkeys(("p", "fisher_p", "statistic"), NUMBERS) | {"degrees": COUNTS, "smallest_p": st.none() | NUMBERS}
)
CONTROL = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "kind": st.sampled_from(["wrong key", "reference", "reference left out"]),
        "tail": st.sampled_from(["high", "low"]),
        "p": NUMBERS,
    }
)
CORRECTED = st.fixed_dictionaries({"p": NUMBERS, "together": COUNTS, "reason": TEXTS, "primary": st.booleans()})


def levels(test: st.SearchStrategy, own: dict, some: dict | None = None) -> st.SearchStrategy:
    scored = st.fixed_dictionaries(
        {
            "p": NUMBERS,
            "p_without": NUMBERS,
            "p_with": st.none() | NUMBERS,
            "smallest_p": NUMBERS,
            "without": test,
            "with": st.none() | test,
            **own,
            "controls": st.lists(CONTROL, max_size=2),
            "tainted": st.lists(TEXTS, max_size=2),
            "missing": COUNTS,
        },
        optional={"corrected": CORRECTED, **(some or {})},
    )
    return st.dictionaries(st.sampled_from(LEVELS), scored | st.fixed_dictionaries({"reason": TEXTS}))


DENSITIES = st.lists(st.fixed_dictionaries({**SCORES, "pull": NUMBERS}), max_size=GROUPS)
LEVELS_OF_GROUPS = levels(
    PERMUTATION, {"pulls": MATRICES, "residual": st.none() | MATRICES, "densities": DENSITIES}, {"centred": MATRICES}
)
DECOYS = st.fixed_dictionaries({name: numbers() for name in SCORES})
LEVELS_OF_KEYS = levels(
    RANKS,
    {"densities": st.fixed_dictionaries({"decoys": DECOYS}, optional={"true": st.fixed_dictionaries(SCORES)})},
)
LEVEL = st.sampled_from(LEVELS)
OTHER_TEST = st.fixed_dictionaries(
    {
        "level": LEVEL,
        "set": st.none() | COUNTS,
        "verifier": TEXTS,
        "nominal_p": NUMBERS,
        "statistic": st.none() | NUMBERS,
        "samples": COUNTS,
        "source": TEXTS,
        "details": st.dictionaries(TEXTS, NUMBERS, max_size=2),
        "disclaimer": TEXTS,
    }
)
LEFT_OUT = st.fixed_dictionaries({"verifier": TEXTS, "reason": TEXTS}, optional={"level": LEVEL, "set": COUNTS})
OF_ALL = {"level": LEVEL, "probes_digest": TEXTS}
OF_A_RELEASE = {
    "verifiers": st.lists(OTHER_TEST, max_size=2),
    "verifiers_left_out": st.lists(LEFT_OUT, max_size=2),
    "primary_levels": st.lists(LEVEL, max_size=3),
    "decided_by": LEVEL,
    "tests": COUNTS,
    "reasons": st.lists(TEXTS, max_size=2),
}
OF_A_SET = {"nonce": TEXTS, "set": COUNTS, "family": TEXTS, "association": TEXTS}
RESTRICTION = st.fixed_dictionaries(
    {"size_classes": st.lists(COUNTS, max_size=3), "forbidden": COUNTS, "possible": st.none() | COUNTS}
)
PLACES = st.permutations(range(GROUPS))
ASSOCIATED = st.fixed_dictionaries(
    {
        **OF_ALL,
        "levels": LEVELS_OF_GROUPS,
        "groups": st.lists(TEXTS, max_size=GROUPS),
        "assignment": PLACES,
        # Versions that showed matrices kept an order of groups as well.
        "shuffle": st.fixed_dictionaries({"patterns": PLACES}, optional={"groups": PLACES}),
    },
    optional={**OF_A_RELEASE, **OF_A_SET, "restriction": RESTRICTION},
)
RANKED = st.fixed_dictionaries(
    {**OF_ALL, "test": st.just("rank"), "levels": LEVELS_OF_KEYS, "decoys": COUNTS},
    optional={**OF_A_RELEASE, **OF_A_SET},
)
COMBINED = st.fixed_dictionaries(
    {
        **OF_ALL,
        "test": st.just("combined"),
        "levels": levels(COMBINATION, {}),
        "sets": st.lists(ASSOCIATED | RANKED, min_size=1, max_size=2),
    },
    optional=OF_A_RELEASE,
)


def reordered(value, order):
    """The same JSON with its keys in another order, as a version or a database may have kept them."""
    if isinstance(value, dict):
        return {key: reordered(value[key], order) for key in sorted(value, key=order)}
    return [reordered(one, order) for one in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(ASSOCIATED | RANKED | COMBINED, st.randoms(use_true_random=False))
def test_every_shape_comes_back_to_the_last_byte(stored, random):
    places = {}
    stored = reordered(stored, lambda key: places.setdefault(key, random.random()))
    found = codec.read(json.loads(json.dumps(stored)))
    assert canonical_json(codec.write(found)) == canonical_json(stored)
    assert json.dumps(codec.write(found, like=stored)) == json.dumps(stored)
    assert codec.read(codec.write(found)) == found


def associated(**more) -> dict:
    test = dict.fromkeys(("statistic", "z", "p", "p_lower", "smallest_p"), 0.5)
    test |= {
        "exceedances": 3,
        "below": 3,
        "permutations": 6,
        "exact": True,
        "edges": [-1.0, 0.0, 1.0],
        "counts": [3, 3],
    }
    level = {"p": 0.5, "p_without": 0.5, "p_with": None, "smallest_p": 1 / 6, "without": test, "with": None}
    level |= {"pulls": [[0.1, 0.2], [0.3, 0.4]], "residual": None, "controls": [], "tainted": [], "missing": 0}
    level["densities"] = [{"gain": 0.1, "divergence": 0.2, "displacement": 0.3, "coherence": 0.4, "pull": 0.2}] * 2
    made = {"level": "soft", "levels": {"hard": {"reason": "It says the same."}, "soft": level}, "groups": ["a", "b"]}
    made |= {"assignment": [1, 0], "shuffle": {"patterns": [0, 1]}, "probes_digest": "ab"}
    return made | more


def ranked(**more) -> dict:
    test = dict.fromkeys(("statistic", "p", "p_lower", "smallest_p"), 0.5)
    test |= {"exceedances": 3, "decoys": 5, "planned": 9, "looks": 2, "stopped": True, "distances": [0.1, 0.2]}
    own = dict.fromkeys(SCORES, 0.1)
    level = {"p": 0.5, "p_without": 0.5, "p_with": 0.4, "smallest_p": 0.1, "without": test, "with": test}
    level |= {"controls": [], "tainted": [], "missing": 1}
    level["densities"] = {"true": own, "decoys": {name: [0.1, 0.2, 0.3] for name in SCORES}}
    made = {"test": "rank", "level": "soft", "levels": {"soft": level}, "decoys": 5, "probes_digest": "cd", "nonce": ""}
    return made | more


def combined() -> dict:
    both = {"p": 0.3, "fisher_p": 0.3, "statistic": 2.4, "degrees": 4, "smallest_p": None}
    level = {"p": 0.3, "p_without": 0.3, "p_with": None, "smallest_p": 0.01, "without": both, "with": None}
    level |= {"controls": [], "tainted": [], "missing": 1}
    sets = [associated(set=1, family="patch", association="associated")]
    sets.append(ranked(set=2, family="blend", association="plain"))
    return {"test": "combined", "level": "soft", "levels": {"soft": level}, "probes_digest": "ef", "sets": sets}


def test_each_kind_is_read_as_its_type():
    alone, plain, both = codec.read(associated()), codec.read(ranked()), codec.read(combined())
    assert isinstance(alone, AssociatedResult)
    assert isinstance(plain, RankedResult)
    assert isinstance(both, CombinedResult)
    assert list(map(type, both.parts)) == [AssociatedResult, RankedResult]
    assert (type(alone.levels["soft"]), type(alone.levels["hard"])) == (AssociatedLevel, Unscored)
    kinds = [type(found.decision.without) for found in (alone, plain, both)]
    assert kinds == [PermutationTest, RankTest, Combination]
    assert type(plain.decision.with_references) is RankTest
    assert alone.levels["soft"].pulls == ((0.1, 0.2), (0.3, 0.4))


def test_what_an_earlier_version_did_not_say_is_upgraded_where_it_is_read():
    first = codec.read(associated(reasons=[], tests=2))
    assert (first.deciding, first.primary, first.other_tests) == ("soft", ("soft",), None)
    today = codec.read(associated(primary_levels=["features", "soft"], decided_by="features"))
    assert (today.deciding, today.primary) == ("features", ("features", "soft"))
    assert first.decision.corrected is None
    assert first.unscored == {"hard": "It says the same."}


def soft(**change) -> dict:
    made = associated()
    made["levels"]["soft"] |= change
    return made


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (None, "NoneType"),
        ([], "list"),
        ({}, "'level' is missing"),
        (associated(test="other"), "other"),
        (associated(level="logits"), "logits"),
        (associated(level=None), "None"),
        (associated(later="a key"), "later"),
        (associated(groups="ab"), "expected list, found str"),
        (associated(groups=["a", 2]), "expected str, found int"),
        (associated(assignment=[1, True]), "expected numbers, found bool"),
        (associated(assignment=[1.0, 0.0]), "expected numbers, found float"),
        (associated(tests="3"), "expected int, found str"),
        (associated(tests=True), "expected int, found bool"),
        (soft(p="0.5"), "expected a number, found str"),
        (soft(p=None), "expected a number, found NoneType"),
        (soft(p=False), "expected a number, found bool"),
        (soft(pulls=[[0.1, None]]), "expected numbers, found NoneType, float"),
        (soft(densities={"gain": 1.0}), "expected list, found dict"),
        (soft(controls=[{"name": "x", "kind": "odd", "tail": "high", "p": 0.5}]), "odd"),
        (ranked(decoys=5.0), "expected int, found float"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(stored, why):
    with pytest.raises(UnreadableError, match="cannot be read") as caught:
        codec.read(stored)
    assert why in str(caught.value)


def test_a_level_lacks_nothing():
    for name in ("p", "without", "with", "pulls", "controls", "missing"):
        stored = associated()
        del stored["levels"]["soft"][name]
        with pytest.raises(UnreadableError, match=f"'{name}' is missing"):
            codec.read(stored)


def test_keys_of_json_are_no_names_of_python():
    """Whoever renames a field renames nothing that was stored."""
    keys = {part.metadata["key"] for part in fields(Findings) if part.metadata}
    assert keys == {"verifiers", "verifiers_left_out"}
