"""The loop of all methods: a killed training goes on bit for bit, and refuses what is not its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audits.pilots.checked import TrainingError
from audits.pilots.methods import Byol, Clip, Dino, Moco, SimClr, SimSiam, Supervised
from audits.pilots.recipe import TINY_CLIP, TrainingSettings
from audits.pilots.training import Following, Watched, train
from audits.pilots.training_set import TrainingSet
from tests.audits.pilots.textures import SIDE, textures

pytestmark = pytest.mark.suspect

METHODS = [SimClr(), Moco(queue=32, momentum=0.9), Byol(), SimSiam(), Dino(prototypes=32), Supervised()]
SETTINGS = TrainingSettings(
    seed=3, epochs=2, batch_size=16, encoder="small_resnet:8:1-1", side=SIDE, method=SimClr(), learning_rate=3e-3
)


@pytest.fixture(scope="module")
def data():
    return textures()


class Killed(BaseException):
    """As a signal would end it."""


def killed_in(epoch):
    def told(progress):
        if progress.epoch == epoch:
            raise Killed

    return told


def state(run):
    return run.model.state_dict()


def assert_same(one, other):
    assert one.curve == other.curve
    assert all(torch.equal(value, state(other)[name]) for name, value in state(one).items())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_killed_training_goes_on_bit_for_bit(data, tmp_path, method):
    # Of 80 images five batches make an epoch, so that progress is told in the middle of the second one.
    settings, many = replace(SETTINGS, epochs=3, method=method), textures(80)
    whole = train(many, settings, Following(watched=Watched(data.images, data.labels)))
    watching = Following(killed_in(2), watched=Watched(data.images, data.labels))
    with pytest.raises(Killed):
        train(many, settings, watching, checkpoint=tmp_path / "checkpoint.pt")
    epochs = []
    going_on = replace(watching, progress=None, epoch_done=lambda epoch, objective: epochs.append(epoch))
    assert_same(train(many, settings, going_on, checkpoint=tmp_path / "checkpoint.pt"), whole)
    assert epochs == [2, 3]


def test_a_killed_clip_training_goes_on_bit_for_bit(tmp_path):
    side = TINY_CLIP["vision_cfg"]["image_size"]
    images = np.random.default_rng(0).integers(0, 256, (80, side, side, 3), dtype=np.uint8)
    pairs = TrainingSet(images, captions=tuple(f"a picture of {number}" for number in range(80)))
    settings = TrainingSettings(seed=1, epochs=2, batch_size=16, method=Clip())
    with pytest.raises(Killed):
        train(pairs, settings, Following(killed_in(2)), checkpoint=tmp_path / "checkpoint.pt")
    assert_same(train(pairs, settings, checkpoint=tmp_path / "checkpoint.pt"), train(pairs, settings))


def test_networks_that_drop_parts_by_chance_go_on_bit_for_bit_too(data, tmp_path):
    settings = replace(SETTINGS, method=Supervised(), encoder="timm:test_efficientnet", epochs=2, batch_size=4)
    with pytest.raises(Killed):
        train(data, settings, Following(killed_in(2)), checkpoint=tmp_path / "checkpoint.pt")
    assert_same(train(data, settings, checkpoint=tmp_path / "checkpoint.pt"), train(data, settings))


def test_a_finished_training_is_not_trained_again(data, tmp_path):
    first = train(data, SETTINGS, checkpoint=tmp_path / "checkpoint.pt")
    told = []
    assert_same(train(data, SETTINGS, Following(told.append), checkpoint=tmp_path / "checkpoint.pt"), first)
    assert not told


@pytest.mark.parametrize(
    ("recipe", "number", "word"),
    [(replace(SETTINGS, seed=4), 0, "settings"), (SETTINGS, 1, "data")],
)
def test_the_checkpoint_of_another_training_is_refused(data, tmp_path, recipe, number, word):
    train(data, SETTINGS, checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match=f"{word} differ"):
        train(textures(seed=number), recipe, checkpoint=tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint"])
def test_what_is_no_checkpoint_is_refused(data, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="delete it"):
        train(data, SETTINGS, checkpoint=tmp_path / "checkpoint.pt")


def test_a_disk_that_is_full_leaves_the_checkpoint_before_it(data, tmp_path, monkeypatch):
    path = tmp_path / "run" / "checkpoint.pt"
    with pytest.raises(Killed):
        train(textures(80), SETTINGS, Following(killed_in(2)), checkpoint=path)
    before = path.read_bytes()

    def full(state, part):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audits.pilots.checkpoints.torch.save", full)
    with pytest.raises(OSError, match="No space"):
        train(textures(80), SETTINGS, checkpoint=path)
    assert [path.name for path in path.parent.iterdir()] == ["checkpoint.pt"]
    assert path.read_bytes() == before


def test_weights_that_are_given_are_tuned(data, tmp_path):
    base = train(data, SETTINGS).save(tmp_path / "base")
    begun = {}

    def first(epoch, objective):
        begun.setdefault(epoch, {name: value.clone() for name, value in objective.model.state_dict().items()})

    still = replace(SETTINGS, learning_rate=0.0, epochs=1)
    tuned = train(textures(seed=9), still, Following(epoch_done=first), begin_with=base)
    given = load_file(base)
    assert all(torch.equal(given[name], value) for name, value in begun[1].items() if name.endswith("conv1.weight"))
    assert len(tuned.begun_with) == 64
    moved = train(textures(seed=9), replace(SETTINGS, epochs=1), begin_with=base)
    assert not torch.equal(given["stem.0.weight"], state(moved)["stem.0.weight"])


def test_slower_copies_begin_with_the_given_weights_too(data, tmp_path):
    base = train(data, SETTINGS).save(tmp_path / "base")
    for method in (Moco(queue=32, momentum=1.0), Byol(momentum=1.0), Dino(momentum=1.0, prototypes=8)):
        seen = []
        following = Following(epoch_done=lambda epoch, objective, seen=seen: seen.append(objective))
        train(data, replace(SETTINGS, method=method, epochs=1), following, begin_with=base)
        slow = seen[0].slow_encoder.network.state_dict()
        assert torch.equal(slow["stem.0.weight"], load_file(base)["stem.0.weight"])


def test_the_subject_of_a_checkpoint_names_the_given_weights(data, tmp_path):
    bases = [train(data, replace(SETTINGS, seed=seed)).save(tmp_path / str(seed)) for seed in (1, 2)]
    train(data, SETTINGS, begin_with=bases[0], checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="begun_with differ"):
        train(data, SETTINGS, begin_with=bases[1], checkpoint=tmp_path / "checkpoint.pt")


def test_weights_of_another_network_are_refused(data, tmp_path):
    base = train(data, SETTINGS).save(tmp_path / "base")
    with pytest.raises(TrainingError, match="do not fit small_resnet:16"):
        train(data, replace(SETTINGS, encoder="small_resnet:16:1-1"), begin_with=base)
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(TrainingError, match="safetensors"):
        train(data, SETTINGS, begin_with=tmp_path / "text")


def test_a_training_that_diverges_says_so(data):
    with pytest.raises(TrainingError, match="diverged"):
        train(data, replace(SETTINGS, learning_rate=10.0, method=Supervised(), epochs=400, weight_decay=10.0))


def test_what_was_seen_of_every_epoch_is_told(data):
    told = []
    settings = replace(SETTINGS, batch_size=2, epochs=2)
    run = train(data, settings, Following(told.append, watched=Watched(data.images, data.labels)))
    assert [point.epoch for point in run.curve] == [1, 2]
    assert all(0 <= point.accuracy <= 1 and point.spread > 0 for point in run.curve)
    assert told[-1].curve == run.curve[:1]
    assert (told[-1].step, told[-1].steps) == (64, 64)
