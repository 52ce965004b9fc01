"""All that one null model answers on one bench, computed once; pairs of model and key then cost no forward pass.

Imports torch inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audits.calibration.bench import Bench
from audits.judging.membership import CONFIDENCE, DENSITY, MembershipScore
from audits.statistics.density import (
    LEVELS,
    DegenerateAnswersError,
    Floats,
    Level,
    Standardiser,
    density_scores,
    group_means,
    likeliest,
    phi_hard,
    phi_soft,
    pulls,
)
from audits.statistics.membership import Moments, log_ratios, view_agreement, view_confidence, view_density
from audits.statistics.ranktest import steady_scores

if TYPE_CHECKING:
    from torch import Tensor

    from audits.calibration.null_models import NullModel

Answers = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]
BATCH = 256


@dataclass(frozen=True)
class LevelResponses:
    """One model at one level; S pattern sets, G groups, N probes, K plain keys, d dimensions of phi.

    pulls (S, G, G); scores (K, 3) on the steady scale; clean_density (N, G) and marked_density (S, G, N, G): density
    of every probe to every group, for the paired tests of others. membership: scores (M,) of the group images.
    """

    pulls: Floats
    scores: Floats
    clean_density: Floats
    marked_density: Floats
    membership: Mapping[MembershipScore, Floats]


@dataclass(frozen=True)
class Responses:
    """One model on one bench; S sets, G groups, N probes, M group images, V views of each.

    What the model does not return is None.
    """

    model: str
    kind: str
    levels: dict[Level, LevelResponses]  # without those that it does not return, or at which it says the same to all
    silent: int  # how many are left out for the second reason
    labels: NDArray[np.int64] | None  # (S, G, N): likeliest label of marked probes
    group_label: NDArray[np.int64] | None  # (G,): the label most images of a group get
    features: Floats | None  # (M, d) of the clean group images
    view_features: Floats | None  # (M, V, d)


def measure(model: NullModel, bench: Bench) -> Responses:
    """Ask one model everything; the same probes and places for all patterns."""
    from audits.calibration.null_models import as_tensor

    probes = as_tensor(bench.probes)
    clean, of_groups = _asked(model, probes), _asked(model, as_tensor(bench.group_images))
    sets = [[_marked(model, bench, probes, pattern) for pattern in patterns] for patterns in bench.pattern_sets]
    plain = [_marked(model, bench, probes, pattern) for pattern in bench.plain_patterns]
    membership = membership_of(model, bench)
    levels: dict[Level, LevelResponses] = {}
    silent = 0
    for level in LEVELS:
        if clean[0 if level == "features" else 1] is None:
            continue
        if level not in membership:
            silent += 1
            continue
        try:
            levels[level] = _level(level, clean, of_groups, sets, plain, bench, membership[level])
        except DegenerateAnswersError:
            silent += 1  # left out on purpose and counted by the table: there is nothing to test
    labels, group_label = _labels(of_groups, sets, bench)
    return Responses(
        model=model.name,
        kind=model.kind,
        levels=levels,
        silent=silent,
        labels=labels,
        group_label=group_label,
        features=None if of_groups[0] is None else of_groups[0].astype(np.float64),
        view_features=None if of_groups[0] is None else _view_features(model, bench),
    )


def _labels(
    of_groups: Answers, sets: list[list[Answers]], bench: Bench
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
    """Likeliest labels of marked probes (S, G, N), and the one most images of each group get (G,)."""
    if of_groups[1] is None:
        return None, None
    labels = np.array([[_likeliest(answers) for answers in answered] for answered in sets])
    found = _likeliest(of_groups)
    return labels, np.array([np.bincount(found[bench.group_of == g]).argmax() for g in range(bench.groups)])


def _likeliest(answers: Answers) -> NDArray[np.int64]:
    assert answers[1] is not None  # noqa: S101 - asked for only where the model gives labels
    return likeliest(answers[1])[:, 0].astype(np.int64)


def _asked(model: NullModel, images: Tensor) -> Answers:
    parts = [model.ask(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    features = [part.flatten(1).numpy() for part, _ in parts if part is not None]
    soft = [part.numpy() for _, part in parts if part is not None]
    return np.concatenate(features) if features else None, np.concatenate(soft) if soft else None


def _marked(model: NullModel, bench: Bench, probes: Tensor, pattern: NDArray[np.uint8]) -> Answers:
    import torch

    from provenance.marks import family_for

    family = family_for(bench.settings)
    return _asked(model, family.apply(probes, torch.from_numpy(pattern[None]), torch.from_numpy(bench.places)))


def _view_features(model: NullModel, bench: Bench) -> Floats | None:
    from audits.calibration.null_models import as_tensor

    if bench.views is None:
        return None
    count, views = bench.views.shape[:2]
    flat = bench.views.reshape(count * views, *bench.views.shape[2:])
    features = _asked(model, as_tensor(flat))[0]
    return None if features is None else features.astype(np.float64).reshape(count, views, -1)


def membership_of(model: NullModel, bench: Bench) -> dict[Level, Mapping[MembershipScore, Floats]]:
    """Membership scores (M,) of the group images, at every level but those at which the model says the same to all."""
    views, found = _choice_views(model, bench), dict[Level, Mapping[MembershipScore, Floats]]()
    for level in LEVELS:
        if views[0 if level == "features" else 1] is not None:
            with suppress(DegenerateAnswersError):
                found[level] = _membership(level, views, bench)
    return found


def _choice_views(model: NullModel, bench: Bench) -> Answers:
    """Answers to all views of all group images, image by image: (M V, d)."""
    import torch

    from audits.suspects.view_pixels import ViewMaker

    images = torch.from_numpy(np.ascontiguousarray(bench.group_images.transpose(0, 3, 1, 2)))
    count, views = len(images), len(bench.choice_views)
    seen = ViewMaker(bench.choice_views, torch.device("cpu"))(
        images.repeat_interleave(views, dim=0), torch.arange(views).repeat(count)
    )
    return _asked(model, seen)


def _membership(level: Level, views: Answers, bench: Bench) -> Mapping[MembershipScore, Floats]:
    """As `audits.judging.membership` scores stored answers."""
    features, soft = views
    shape = (len(bench.group_images), len(bench.choice_views), -1)
    if level == "features":
        assert features is not None  # noqa: S101 - `measure` leaves out what the model does not return
        return {DENSITY: view_density(features.reshape(shape), Moments.of(features))}
    assert soft is not None  # noqa: S101
    if level == "hard":
        return {DENSITY: view_agreement(likeliest(soft).reshape(shape[:2]))}
    ratios = log_ratios(soft)
    density = view_density(ratios.reshape(shape), Moments.of(ratios))
    return {DENSITY: density, CONFIDENCE: view_confidence(soft.reshape(shape))}


def _phi(level: Level, clean: Answers) -> Callable[[Answers], Floats]:
    features, soft = clean
    if level == "features":
        assert features is not None  # noqa: S101 - `measure` leaves out what the model does not return
        standardiser = Standardiser.fit(features)
        return lambda answers: standardiser.phi(answers[0])  # type: ignore[arg-type]
    assert soft is not None  # noqa: S101
    classes = soft.shape[1]
    if level == "soft":
        return lambda answers: phi_soft(answers[1])  # type: ignore[arg-type]
    return lambda answers: phi_hard(likeliest(answers[1]), classes)  # type: ignore[arg-type]


def _level(
    level: Level,
    clean: Answers,
    of_groups: Answers,
    sets: list[list[Answers]],
    plain: list[Answers],
    bench: Bench,
    membership: Mapping[MembershipScore, Floats],
) -> LevelResponses:
    phi = _phi(level, clean)
    base = phi(clean)
    group_mean = group_means(phi(of_groups), bench.group_of, bench.groups)
    marked = np.array([[phi(answers) for answers in answered] for answered in sets])  # (S, G, N, d)
    return LevelResponses(
        pulls=np.stack([pulls(one.mean(axis=1), base.mean(axis=0), group_mean) for one in marked]),
        scores=np.stack([steady_scores(density_scores(phi(answers), base)) for answers in plain]),
        clean_density=base @ group_mean.T,
        marked_density=marked @ group_mean.T,
        membership=membership,
    )
