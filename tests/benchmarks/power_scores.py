"""What the power benchmark asks of a suspect and makes of the answers: the assignment test and the rank test."""

import os
from collections.abc import Callable, Iterator

import numpy as np
import torch

from audits.statistics.density import Standardiser, density_scores, group_means, phi_hard, phi_soft, pulls
from audits.statistics.permutation import permutation_test, philox_from
from audits.statistics.ranktest import decoy_key, rank_test, steady_scores
from provenance.marks import MarkSecret, family_for
from tests.benchmarks.power_copies import Owned
from tests.benchmarks.power_training import Trained

PROBES = (20, 91, 455)  # 11 passes each: about 220, 1,000 and 5,000 queries
PLAIN_PROBES = (9, 49, 455)  # 101 passes each: about 900, 5,000 and 46,000 queries
DECOYS = 99
GROUP_IMAGES = 50
PERMUTATIONS = 200_000

Answers = tuple[np.ndarray, np.ndarray]  # features (N, d) and soft labels (N, k)
Phi = Callable[[Answers], np.ndarray]


def rows(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, references: list[Trained], name: str
) -> Iterator[dict]:
    """p without and with references, for every number of probes and level."""
    plain = secret.settings.association == "plain"
    yield from (_plain_rows if plain else _associated_rows)(owned, secret, candidates, model, references, name)


def _associated_rows(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, references: list[Trained], name: str
) -> Iterator[dict]:
    suspect = _pull_matrices(owned, secret, candidates, model)
    controls = [_pull_matrices(owned, secret, candidates, reference) for reference in references]
    for (count, level), matrix in suspect.items():
        rng, others = philox_from("00" * 32, f"{name}/{count}/{level}"), [control[count, level] for control in controls]
        without = permutation_test(matrix, secret.assignment, PERMUTATIONS, rng)
        controlled = permutation_test(matrix, secret.assignment, PERMUTATIONS, rng, others)
        yield {"probes": count, "level": level, "p": without.p, "p_references": controlled.p, "z": without.z}


def _plain_rows(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, references: list[Trained], name: str
) -> Iterator[dict]:
    """The true key among DECOYS others, all at the same probes and places."""
    nonce = os.urandom(16)
    patterns = [secret.patterns[0]]
    for number in range(DECOYS):
        decoy = MarkSecret.derive(decoy_key("00" * 32, nonce, number), bytes(32), secret.settings)
        patterns.append(decoy.patterns[0])
    suspect = _key_scores(owned, secret, candidates, model, patterns)
    controls = [_key_scores(owned, secret, candidates, reference, patterns) for reference in references]
    for (count, level), scores in suspect.items():
        without = rank_test(scores)
        controlled = rank_test(scores, [control[count, level] for control in controls])
        yield {"probes": count, "level": level, "p": without.p, "p_references": controlled.p}


def _asked(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, patterns: list, count: int
) -> tuple[list[int], list[Answers]]:
    """The probes, and the answers to them: clean, then with each pattern."""
    device, family = owned.pixels.device, family_for(secret.settings)
    probes = secret.probes(owned.entries, count, candidates)
    clean = owned.pixels[probes].float()
    places = torch.from_numpy(secret.placements([owned.entries[i].sha256 for i in probes])).to(device)
    answers = [_answer(model, clean)]
    for pattern in patterns:
        marked = family.apply(clean, torch.from_numpy(pattern)[None].to(device), places)
        answers.append(_answer(model, marked))
    return probes, answers


def _answer(model: Trained, images: torch.Tensor) -> Answers:
    features, soft = model.answer(images)
    return features.float().cpu().numpy(), soft.float().cpu().numpy()


def _phis(clean: Answers) -> dict[str, Phi]:
    """phi of every level; features are standardised by the clean probes."""
    classes, standardiser = clean[1].shape[1], Standardiser.fit(clean[0])
    return {
        "features": lambda answers: standardiser.phi(answers[0]),
        "soft": lambda answers: phi_soft(answers[1]),
        "hard": lambda answers: phi_hard(answers[1].argmax(1)[:, None].astype(np.float64), classes),
    }


def _pull_matrices(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained
) -> dict[tuple[int, str], np.ndarray]:
    """A[j, g] for every number of probes and level, from one set of answers."""
    probes, answers = _asked(owned, secret, candidates, model, list(secret.patterns), max(PROBES))
    groups = secret.group_images(owned.entries, GROUP_IMAGES, candidates | set(probes))
    of_groups = _answer(model, owned.pixels[[i for group in groups for i in group]].float())
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    found = {}
    for count in PROBES:
        few = [(features[:count], soft[:count]) for features, soft in answers]
        for level, phi in _phis(few[0]).items():
            means = group_means(phi(of_groups), group_of, len(groups))
            marked = np.stack([phi(part).mean(0) for part in few[1:]])
            found[count, level] = pulls(marked, phi(few[0]).mean(0), means)
    return found


def _key_scores(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, patterns: list[np.ndarray]
) -> dict[tuple[int, str], np.ndarray]:
    """(keys, 3) steady scores for every number of probes and level, from one set of answers."""
    _, answers = _asked(owned, secret, candidates, model, patterns, max(PLAIN_PROBES))
    found = {}
    for count in PLAIN_PROBES:
        few = [(features[:count], soft[:count]) for features, soft in answers]
        for level, phi in _phis(few[0]).items():
            base = phi(few[0])
            found[count, level] = np.stack([steady_scores(density_scores(phi(part), base)) for part in few[1:]])
    return found
