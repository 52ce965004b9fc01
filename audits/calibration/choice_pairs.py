"""p-values of pairs (null model, random key) by the tests of a keyed choice, from scores that were computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from audits.judging.membership import DENSITY, MembershipScore
from audits.other_tests import sequential_rank, views_within_blocks
from audits.statistics.choices import Blocks, choice_test, omnibus_test
from audits.statistics.density import Floats
from audits.statistics.membership import reference_residual, without_gaps
from provenance.marks import ImageBlocks, KeyedChoice, WithheldSettings
from provenance.marks.keyed_choice import choose

CHOICE, CHOICE_OMNIBUS = "keyed choice", "keyed choice, more telling score"
BLOCK_SIZE = 4
Scored = Mapping[MembershipScore, Floats]


class Drawn(NamedTuple):
    """One p-value; grid: n where the test's p-values are 1/n … n/n, None where they have no single grid."""

    p: float
    grid: int | None


class OtherDrawn(NamedTuple):
    """One p-value of a test of others; shadows: how many models it compared the suspect with."""

    test: str
    shadows: int
    drawn: Drawn


def choices_of_pair(
    suspect: Scored, others: Sequence[Scored], choices: int, rng: np.random.Generator
) -> Iterator[tuple[str, Drawn]]:
    """Which of the group images a fresh key left at home, by density alone and by the more telling score."""
    chosen = fresh_choice(rng, len(suspect[DENSITY]))
    blocks = Blocks(chosen.block_of, chosen.home)
    tested = []
    for name, scores in suspect.items():
        rows = [other[name][chosen.positions] for other in others]
        explaining = np.stack(rows) if rows else np.zeros((0, len(blocks.block_of)))
        tested.append(reference_residual(scores[chosen.positions], explaining, blocks.block_of))
    yield CHOICE, Drawn(choice_test(tested[0], blocks).p, None)
    yield CHOICE_OMNIBUS, Drawn(omnibus_test(np.stack(tested), blocks, choices, rng).p, choices + 1)


def others_of_choice(suspect: Scored, shadows: Sequence[Scored], rng: np.random.Generator) -> Iterator[OtherDrawn]:
    """The tests of others on a fresh key's choice, by density as an audit has it; some need a shadow."""
    chosen = fresh_choice(rng, len(suspect[DENSITY]))

    def density(scores: Scored) -> Floats:
        return without_gaps(scores[DENSITY][chosen.positions], chosen.block_of)

    ranked = sequential_rank(density(suspect), chosen.block_of, chosen.home, len(chosen.home), rng)
    yield OtherDrawn(ranked.test, 0, Drawn(ranked.nominal_p, None))
    if shadows:
        beside = np.stack([density(shadow) for shadow in shadows])
        for verdict in views_within_blocks(density(suspect), beside, chosen.block_of, chosen.home):
            yield OtherDrawn(verdict.test, len(shadows), Drawn(verdict.nominal_p, None))


def fresh_choice(rng: np.random.Generator, images: int) -> KeyedChoice:
    """What a fresh key leaves at home of images in blocks of neighbours, all of which it uses."""
    every = np.arange(images - images % BLOCK_SIZE, dtype=np.int32)
    blocks = ImageBlocks(every, (every // BLOCK_SIZE).astype(np.int32))
    settings = WithheldSettings(blocking="0" * 64, block_size=BLOCK_SIZE, share=1 / BLOCK_SIZE)
    return choose(rng.bytes(32), rng.bytes(32), settings, blocks)
