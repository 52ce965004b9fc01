"""Every method learns without collapsing, and its parts do what its paper says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audits.pilots.checked import TrainingError
from audits.pilots.methods import Byol, Clip, Dino, Moco, SimClr, SimSiam, Supervised
from audits.pilots.nearest import spread
from audits.pilots.objectives import objective_of
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training import Following, Watched, train
from audits.pilots.training_set import TrainingSet
from tests.audits.pilots.textures import SIDE, textures

pytestmark = pytest.mark.suspect

SETTINGS = TrainingSettings(
    seed=1, epochs=12, batch_size=16, encoder="small_resnet:8:1-1", side=SIDE, method=SimClr(), learning_rate=3e-3
)
# Momenta fit for a few dozen steps; a queue that is full after the first one, so that losses compare.
METHODS = [
    SimClr(),
    Moco(queue=16, momentum=0.9),
    Byol(momentum=0.9),
    SimSiam(),
    Dino(momentum=0.9, prototypes=64),
    Supervised(),
]


def objective(method, **changes):
    torch.manual_seed(0)
    return objective_of(replace(SETTINGS, method=method, **changes), textures()).train()


def one_step(built, seed=0):
    """A step of plain gradient descent on the first batch."""
    images = torch.from_numpy(textures().images[:16])
    views = built.prepared(images, torch.Generator().manual_seed(seed))
    loss = built.loss(views, torch.arange(16))
    built.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    return loss


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_loss_falls_and_features_do_not_collapse(method):
    data = textures()
    run = train(data, replace(SETTINGS, method=method), Following(watched=Watched(data.images, data.labels)))
    assert run.curve[-1].loss < run.curve[0].loss - 0.1
    assert run.curve[-1].spread > 0.4
    assert run.curve[-1].accuracy >= 0.95
    assert run.curve[-1].spread > run.curve[0].spread - 0.05


def test_without_its_predictor_simsiam_collapses():
    """The measure that says so above can fail."""
    built = objective(SimSiam())
    built.predictor = torch.nn.Identity()
    built.projector = torch.nn.Linear(built.encoder.size, 32)
    optimiser = torch.optim.SGD(built.parameters(), lr=0.5, momentum=0.9)
    images, generator = torch.from_numpy(textures().images), torch.Generator().manual_seed(0)

    def spread_now():
        with torch.no_grad():
            return spread(built.projector(built.seen(built.prepared(images, generator)[0])))

    before = spread_now()
    for _ in range(60):
        loss = built.loss(built.prepared(images, generator), torch.arange(len(images)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert spread_now() < 0.5 * before


def test_simclr_tells_a_picture_from_all_others_in_the_batch():
    built = objective(SimClr(temperature=0.1, outputs=32))
    built.seen, built.projector = (lambda images: images), torch.nn.Identity()
    apart = torch.eye(16, 32)
    assert built.loss((apart, apart), torch.arange(16)) < 0.01
    assert built.loss((apart, apart.roll(1, 0)), torch.arange(16)) > 5
    same = torch.ones(16, 32)
    assert torch.isclose(built.loss((same, same), torch.arange(16)), torch.tensor(31.0).log())


class TestMoco:
    method = Moco(queue=40, momentum=0.75)

    def test_the_queue_keeps_the_latest_keys_and_drops_the_oldest(self):
        built, latest = objective(self.method), []
        for seed in range(4):
            one_step(built, seed)
            latest.append(built._latest.clone())
            built.stepped(0.5)
            assert int(built.written) == 16 * (seed + 1)
        kept = {tuple(row.tolist()) for row in built.queue}
        expected = torch.cat(latest)[-40:]
        assert kept == {tuple(row.tolist()) for row in expected}
        assert torch.allclose(built.queue.norm(dim=1), torch.ones(40), atol=1e-5)

    def test_the_slower_encoder_follows_and_is_taught_by_nothing_else(self):
        built = objective(self.method)
        before = built.slow_encoder.network.stem[0].weight.clone()
        one_step(built)
        assert torch.equal(before, built.slow_encoder.network.stem[0].weight)
        built.stepped(0.5)
        expected = 0.75 * before + 0.25 * built.encoder.network.stem[0].weight
        assert torch.allclose(expected, built.slow_encoder.network.stem[0].weight, atol=1e-6)
        assert all(parameter.grad is None for parameter in built.slow_encoder.parameters())

    def test_keys_stand_in_the_order_of_their_pictures_though_normalised_in_shuffled_parts(self):
        built = objective(replace(self.method, parts=1))
        images = built.prepared(torch.from_numpy(textures().images[:16]), torch.Generator().manual_seed(0))[0]
        whole = built._keys(images)
        assert torch.allclose(whole, built._keys(images), atol=1e-4)  # another shuffle, the same order
        built.method = replace(self.method, parts=4)
        assert not torch.allclose(whole, built._keys(images), atol=1e-4)

    def test_a_queue_longer_than_the_training_set_is_refused(self):
        with pytest.raises(TrainingError, match="longer than the training set of 64"):
            objective(Moco(queue=65))


class TestByol:
    def test_agreement_costs_nothing_and_opposites_four(self):
        built = objective(Byol(outputs=32))
        built.seen = lambda images, by=None: images
        built.projector = built.slow_projector = built.predictor = torch.nn.Identity()
        views = torch.randn(16, 32)
        assert torch.isclose(built.loss((views, views), torch.arange(16)), torch.tensor(0.0), atol=1e-5)
        assert torch.isclose(built.loss((views, -views), torch.arange(16)), torch.tensor(4.0), atol=1e-5)

    def test_the_momentum_rises_to_one(self):
        built = objective(Byol(momentum=0.5))
        one_step(built)
        built.stepped(1.0)
        before = built.slow_encoder.network.stem[0].weight.clone()
        one_step(built)
        built.stepped(1.0)
        assert torch.equal(before, built.slow_encoder.network.stem[0].weight)
        built.stepped(0.0)
        halfway = 0.5 * before + 0.5 * built.encoder.network.stem[0].weight
        assert torch.allclose(halfway, built.slow_encoder.network.stem[0].weight, atol=1e-6)


class Saying(torch.nn.Module):
    """Says the same to everything."""

    def __init__(self, said) -> None:
        super().__init__()
        self.said = said

    def forward(self, features):
        return self.said.repeat(len(features) // len(self.said), 1)


class TestDino:
    method = Dino(prototypes=8, centring=0.75, momentum=0.9)

    def test_the_centre_follows_what_the_teacher_says(self):
        built = objective(self.method)
        one_step(built)
        assert not built.centre.any()
        built.stepped(0.0)
        assert torch.allclose(built.centre, 0.25 * built._told, atol=1e-6)

    def test_centring_keeps_one_prototype_from_taking_all(self):
        """A teacher that says the same to everything is brought to say nothing."""
        built = objective(self.method)
        said = torch.zeros(16, 8)
        said[:, 3] = 1.0
        built.seen = lambda images, by=None: images
        built.slow_prototypes = Saying(said)
        built.prototypes = torch.nn.Linear(8, 8)
        views, targets = (torch.zeros(16, 8),) * 2, []
        for _ in range(60):
            built.loss(views, torch.arange(16))
            centred = ((said - built.centre) / built.method.teacher_temperature).softmax(dim=1)
            targets.append(float(centred[0].max()))
            built.centre.lerp_(built._told.detach(), 1 - built.method.centring)
        assert targets[0] > 0.99
        assert targets[-1] == pytest.approx(1 / 8, abs=1e-3)

    def test_small_crops_are_told_and_never_tell(self):
        built = objective(replace(self.method, small_crops=3))
        images = torch.from_numpy(textures().images[:16])
        views = built.prepared(images, torch.Generator().manual_seed(0))
        assert [tuple(view.shape) for view in views] == [(16, 3, SIDE, SIDE)] * 5
        asked = []
        seen = built.seen
        built.seen = lambda images, by=None: (asked.append((by is not None, len(images))), seen(images, by))[1]
        built.loss(views, torch.arange(16))
        assert asked == [(True, 32), (False, 80)]


def test_a_classifier_learns_the_classes_it_is_given():
    data = textures()
    shuffled = TrainingSet(data.images, labels=np.random.default_rng(0).permutation(data.labels))
    settings = replace(SETTINGS, method=Supervised(), epochs=4)
    assert train(data, settings).losses[-1] < train(shuffled, settings).losses[-1] - 0.3
    assert train(data, settings).model.state_dict()["head.weight"].shape == (4, 16)


@pytest.mark.parametrize(("method", "word"), [(Supervised(), "class for every image"), (Clip(), "caption for every")])
def test_what_a_method_cannot_learn_from_is_refused(method, word):
    encoder = {} if method == Clip() else {"encoder": "small_resnet:8", "side": SIDE}
    with pytest.raises(TrainingError, match=word):
        objective_of(TrainingSettings(seed=1, method=method, **encoder), TrainingSet(textures().images))
