"""Null models, the benches they are asked on, and the responses that are computed once."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from audits.calibration.bench import BenchError, draw_bench
from audits.calibration.null_models import KINDS, NullModelError, as_tensor, null_model, null_models
from audits.calibration.responses import measure
from audits.pilots.threads import linear_algebra_threads
from audits.services.calibrations.starting import MOST_ROUNDS, SEEDS
from audits.statistics.density import Standardiser
from provenance.marks import PRESETS, MarkSecret, family_for
from tests.audits.calibration.stock import GROUPS, MARKS, TINY, stock

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def one_thread():
    """As a round does: small networks lose much by more threads where others compute too."""
    with linear_algebra_threads(1):
        yield


def bench(seed: int = 0):
    return draw_bench(*stock(), MARKS, TINY.bench, seed)


@pytest.mark.parametrize("family", ["patch", "blend", "spectral", "warp"])
def test_every_family_has_a_bench_with_the_plain_patterns_that_its_releases_use(family):
    marks = PRESETS["strong"].settings(MARKS.groups, family=family)
    drawn = draw_bench(*stock(), marks, TINY.bench, 0)
    plain = marks.replace(groups=(), association="plain")
    same_kind = MarkSecret.derive(bytes(32), bytes(range(32)), plain).patterns
    assert drawn.plain_patterns.shape == (TINY.bench.keys, *same_kind.shape[1:])
    assert len({pattern.tobytes() for pattern in drawn.plain_patterns}) == TINY.bench.keys
    model = null_model("fresh small_resnet", 1, drawn.spare_images, drawn.spare_labels)
    assert set(measure(model, drawn).levels) == {"features", "soft", "hard"}


def test_a_round_draws_everything_anew():
    first, again, other = bench(0), bench(0), bench(1)
    for name in ("probes", "places", "group_images", "pattern_sets", "plain_patterns", "views", "spare_images"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    assert first.pattern_sets.shape[:2] == (2, GROUPS)
    assert np.bincount(first.group_of).tolist() == [4] * GROUPS
    probes = {image.tobytes() for image in (*first.probes, *first.group_images)}
    assert len(probes) == 8 + 4 * GROUPS
    assert not probes & {image.tobytes() for image in first.spare_images}


def test_a_model_is_asked_about_as_many_images_as_the_size_says():
    drawn, asked = bench(), []
    model = null_model("fresh small_resnet", 1, drawn.spare_images, drawn.spare_labels)

    def ask(images):
        asked.append(len(images))
        return model.ask(images)

    measure(replace(model, ask=ask), drawn)
    assert sum(asked) == TINY.bench.passes


def test_null_models_follow_from_their_seed_and_say_different_things():
    images, labels = stock()
    batch = as_tensor(images[:40])
    for kind in KINDS:
        one, again, other = (null_model(kind, seed, images[:60], labels[:60]) for seed in (1, 1, 2))
        features, soft = one.ask(batch)
        assert features.shape[0] == 40
        assert torch.isfinite(features).all()
        assert soft.sum(dim=1).numpy() == pytest.approx(np.ones(40), abs=1e-5)
        assert len(soft.argmax(dim=1).unique()) >= 3, kind
        assert torch.equal(soft, again.ask(batch)[1])
        assert not torch.allclose(soft, other.ask(batch)[1], atol=1e-3)
    assert len({model.name for model in null_models(7, 3, images[:60], labels[:60], KINDS[:2])}) == 7


def test_null_models_are_trained_on_data_with_more_classes_than_their_heads_have():
    images, labels = stock()
    model = null_model("trained small_resnet", 1, images[:60], labels[:60] + 1000)
    assert torch.isfinite(model.ask(as_tensor(images[:4]))[1]).all()


def test_a_model_that_gives_features_alone_has_one_level():
    asked = bench()
    model = null_model("fresh small_resnet", 1, asked.spare_images, asked.spare_labels)
    features = measure(replace(model, ask=lambda batch: (model.ask(batch)[0], None)), asked)
    assert (set(features.levels), features.silent, features.labels) == ({"features"}, 0, None)
    labels = measure(replace(model, ask=lambda batch: (None, model.ask(batch)[1])), asked)
    assert (set(labels.levels), labels.features, labels.view_features) == ({"soft", "hard"}, None, None)


def test_drawing_null_models_leaves_torchs_own_seed_alone():
    images, labels = stock()
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    null_model("fresh small_resnet", 1, images[:60], labels[:60])
    assert torch.equal(torch.rand(3), before)


def test_responses_agree_with_their_definition():
    asked = bench()
    model = null_model("trained small_resnet", 4, asked.spare_images, asked.spare_labels)
    found = measure(model, asked)
    assert set(found.levels) == {"features", "soft", "hard"}
    clean = model.ask(as_tensor(asked.probes))[0].numpy()
    phi = Standardiser.fit(clean).phi
    pattern = torch.from_numpy(asked.pattern_sets[1, 2][None])
    marked = family_for(MARKS).apply(as_tensor(asked.probes), pattern, torch.from_numpy(asked.places))
    marked_phi = phi(model.ask(marked)[0].numpy())
    group_phi = phi(model.ask(as_tensor(asked.group_images))[0].numpy())
    for group in range(GROUPS):
        theirs = group_phi[asked.group_of == group]
        pull = np.mean([t @ o for t in marked_phi for o in theirs]) - np.mean(
            [c @ o for c in phi(clean) for o in theirs]
        )
        assert found.levels["features"].pulls[1, 2, group] == pytest.approx(pull, abs=1e-4)
        density = [np.mean([t @ o for o in theirs]) for t in marked_phi]
        assert found.levels["features"].marked_density[1, 2, :, group] == pytest.approx(density, abs=1e-4)
    assert found.levels["hard"].scores.shape == (16, 3)
    assert found.view_features is not None
    assert found.view_features.shape[:2] == (4 * GROUPS, 2)


def test_a_model_that_says_the_same_to_everything_is_left_out():
    asked = bench()
    model = null_model("fresh small_resnet", 1, asked.spare_images, asked.spare_labels)
    mute = replace(model, ask=lambda batch: (torch.ones(len(batch), 4), model.ask(batch)[1]))
    found = measure(mute, asked)
    assert (set(found.levels), found.silent) == ({"soft", "hard"}, 1)


def test_null_models_of_the_largest_seed_that_can_be_drawn_are_built_and_differ():
    """Torch takes no more than 64 bits; a seed of 31 bits times the factors that keep rounds apart is longer."""
    images, labels = stock()
    largest = (SEEDS - 1) * 1_000_003 + MOST_ROUNDS
    built = null_models(4, largest, images[:40], labels[:40], ("fresh small_resnet", "trained small_resnet"))
    answers = [model.ask(as_tensor(images[:2]))[1] for model in built]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(answers, 2))


def test_a_seed_that_torch_takes_is_taken_as_it_is(monkeypatch):
    """So a calibration that could be made before is repeated by the same seed."""
    given = []
    monkeypatch.setattr(torch, "manual_seed", given.append)
    for seed in (0, 2**63, 2**64 - 1, 2**64 + 5):
        null_model("fresh small_resnet", seed, stock()[0][:20], stock()[1][:20])
    assert given == [0, 2**63, 2**64 - 1, 5]


def test_importing_calibration_imports_no_torch():
    """Pages read tables; the web process never loads torch."""
    modules = "audits.calibration, audits.statistics.ranktest, audits.other_tests"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: draw_bench(*stock(), MARKS, replace(TINY.bench, groups=5), 0), BenchError, "name 6"),
        (lambda: draw_bench(stock()[0], stock()[1] % 3, MARKS, TINY.bench, 0), BenchError, "3 classes"),
        (lambda: draw_bench(*stock(), MARKS, replace(TINY.bench, per_group=30), 0), BenchError, "at least 60"),
        (lambda: draw_bench(*stock(), MARKS, replace(TINY.bench, probes=200), 0), BenchError, "are needed"),
        (lambda: null_model("pretrained", 1, *stock()), NullModelError, "no kind"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
