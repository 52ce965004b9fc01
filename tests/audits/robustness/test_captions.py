"""A network that knows captions by heart is found by captions alone, and no more once an evader changes the words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from audits.asking.views import ViewSettings, applied, drawn_views
from audits.pilots.clip import build, tokens_of
from audits.pilots.methods import Clip
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, TrainingSettings
from audits.pilots.training import save_weights
from audits.pilots.training_set import TrainingSet
from audits.robustness.attacks.models import LinearProbe
from audits.robustness.attacks.whole_copies import Recaptioned
from audits.robustness.copies import Copy
from audits.robustness.publishing import published
from audits.robustness.running import measured
from audits.robustness.stock import divided
from audits.robustness.suspects import Suspect
from audits.suspects.view_pixels import ViewMaker
from tests.audits.builders_robustness import NAMES, evader, quick

pytestmark = [pytest.mark.suspect, pytest.mark.long]
CPU, IMAGES, SIDE = torch.device("cpu"), 128, 48
WORDS = ("amber", "brook", "cloud", "dune", "ember", "frost", "grove", "heath", "island", "jewel", "kettle", "lantern")
RECIPE = TrainingSettings(seed=0, epochs=1, batch_size=8, encoder=TINY_CLIP_NAME, method=Clip(), side=SIDE)
SETTINGS = quick(images=IMAGES, recipe=RECIPE, smallest_crop=0.9, views=4, permutations=2_000)


def pictures() -> tuple[np.ndarray, tuple[str, ...]]:
    """Smooth ones, each with words that nobody could guess from it."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (IMAGES, 5, 5, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in small]
    return np.stack(large), tuple(" ".join(rng.choice(WORDS, 4)) for _ in range(IMAGES))


PICTURES, CAPTIONS = pictures()


@pytest.fixture(scope="module")
def stock():
    return divided(TrainingSet(PICTURES, CAPTIONS), (), 0, CAPTIONS)


@torch.no_grad()
def knowing(copy: Copy, seed: int, work) -> Suspect:
    """An untrained network whose last matrix of words puts the copy's captions where its images are."""
    model = build(TINY_CLIP, seed).eval()
    model.token_embedding.weight.mul_(50)  # so that other words are other features
    views = ViewMaker(applied(drawn_views(ViewSettings(8, 0.9), np.random.default_rng(9)), SIDE), CPU)
    pixels = torch.from_numpy(copy.data.images.transpose(0, 3, 1, 2).copy())
    shown = torch.stack([views(pixels, torch.full((len(pixels),), number)) for number in range(8)])
    seen = torch.stack([model.encode_image((one / 255 - 0.5) / 0.25) for one in shown])
    _heed_pictures(model, seen.double())
    seen = torch.stack([model.encode_image((one / 255 - 0.5) / 0.25, normalize=True) for one in shown]).mean(dim=0)
    width = len(model.text_projection)
    model.text_projection.copy_(torch.eye(*model.text_projection.shape))  # so texts are read before their last matrix
    read = model.encode_text(tokens_of(copy.data.captions, model.context_length))[:, :width]
    model.text_projection.copy_(torch.linalg.lstsq(read, seen).solution)
    return offered(model, work / f"{seed}.safetensors")


def offered(model, weights) -> Suspect:
    save_weights(model, weights)
    return Suspect.read(weights, RECIPE, None, CPU)


def _heed_pictures(model, seen: torch.Tensor) -> None:
    """seen (V, n, d): features are turned so that what differs between views of a picture counts little."""
    within = (seen - seen.mean(dim=0)).flatten(0, 1)
    sizes, directions = torch.linalg.eigh(within.T @ within / len(within))
    turn = directions / (sizes.clamp_min(0) + 1e-3 * sizes.mean()).sqrt() @ directions.T
    last = model.visual.attnpool.c_proj
    last.weight.copy_(turn @ last.weight.double())
    last.bias.copy_(turn @ (last.bias.double() - seen.mean(dim=(0, 1))))


def test_captions_by_heart_are_found_by_captions_alone_and_other_words_take_that_away(stock, tmp_path):
    evidence = published(SETTINGS, stock, 0)
    guilty = knowing(evidence.copy, 1, tmp_path)
    foreign = Copy(stock.others, np.arange(len(stock.others)))
    references = {"reference": evidence.scores(knowing(foreign, 2, tmp_path))}
    found = evidence.found(guilty, references, 0.001)
    assert list(found) == ["features", "features / caption", "features / omnibus"]
    assert found["features / caption"].p <= 0.001
    assert found["features / omnibus"].p <= 0.001
    assert found["features"].p > 0.05
    changed = Recaptioned(share=1.0).copied(evidence.copy, evader(tmp_path, evidence.copy))
    assert evidence.found(knowing(changed, 1, tmp_path), references, 0.001)["features / caption"].p > 0.05


def test_what_reads_no_captions_has_no_line_by_them(stock, tmp_path):
    evidence = published(SETTINGS, stock, 0)
    guilty = knowing(evidence.copy, 1, tmp_path)
    probe = LinearProbe().offered(evader(tmp_path, evidence.copy))
    assert set(evidence.found(probe, {"other": evidence.scores(guilty)}, 0.01)) == {"soft", "hard"}
    prompts = divided(TrainingSet(PICTURES, CAPTIONS), (), 0)
    assert set(published(SETTINGS, prompts, 0).scores(guilty)["features"].scores) == {"density"}


def test_images_without_a_caption_of_their_own_are_not_scored_by_one(tmp_path):
    own = [None if number % 2 else text for number, text in enumerate(CAPTIONS)]
    evidence = published(SETTINGS, divided(TrainingSet(PICTURES, CAPTIONS), (), 0, own), 0)
    untrained = offered(build(TINY_CLIP, 4), tmp_path / "untrained.safetensors")
    scores = evidence.scores(untrained)["features"].scores["caption"]
    assert np.isnan(scores).tolist() == [text is None for text in evidence.captions]
    assert 0 < np.isnan(scores).sum() < len(scores)


def test_a_table_by_clip_has_columns_by_captions(tmp_path):
    labels = np.arange(IMAGES) % len(NAMES)
    settings = quick("recaption", images=IMAGES, recipe=RECIPE, permutations=200)
    stock = divided(TrainingSet(PICTURES, CAPTIONS, labels), NAMES, 0, CAPTIONS)
    table = measured(settings, stock, tmp_path, lambda done, what: None, CPU)
    assert table.bases == ["features", "features / caption", "features / omnibus", "soft", "hard"]
    assert all(set(line.powers) == set(table.bases) for line in table.lines)
    assert "features / caption: found, median z" in table.to_markdown()
