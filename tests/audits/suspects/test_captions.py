"""A model with a text tower says in its confined process how close it puts an image's views to its own caption."""

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from audits.asking.views import ViewSettings, applied, drawn_views
from audits.statistics.permutation import philox_from
from audits.suspects import SandboxedModel, SuspectError, check_connection
from audits.suspects.spec import CLIP_DEVIATION, CLIP_MEAN
from audits.suspects.view_pixels import ViewMaker
from tests.audits.suspects.models import TINY_CLIP, cifar_weights, clip_model, clip_spec, save

pytestmark = pytest.mark.suspect

SIDE, VIEWS = 32, 3
CAPTIONS = ["a quiet harbour", "two foxes, “dancing”", "", "snow " * 40, "ein Käfer 🐞"]
IMAGES = np.random.default_rng(3).integers(0, 256, (len(CAPTIONS), SIDE, SIDE, 3), dtype=np.uint8)
DRAWN = applied(drawn_views(ViewSettings(VIEWS), philox_from("a plan", "views")), SIDE)
ASKED, SEEN = np.array([4, 0, 3, 1, 2, 0]), np.array([0, 1, 2, 2, 1, 0])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save(clip_model().state_dict(), tmp_path_factory.mktemp("weights") / "clip.safetensors")


@pytest.fixture(scope="module")
def suspect(weights):
    with SandboxedModel(clip_spec(), weights) as opened:
        opened.load_views(DRAWN)
        opened.load_images("pictures", IMAGES)
        yield opened


@torch.inference_mode()
def by_open_clip():
    model = clip_model()
    pixels = torch.from_numpy(IMAGES[ASKED].transpose(0, 3, 1, 2).copy())
    views = ViewMaker(DRAWN, torch.device("cpu"))(pixels, torch.from_numpy(SEEN)) / 255
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in (CLIP_MEAN, CLIP_DEVIATION))
    tokens = SimpleTokenizer(context_length=TINY_CLIP["text_cfg"]["context_length"])([CAPTIONS[i] for i in ASKED])
    seen, read, _ = model((views - mean) / deviation, tokens)
    return (seen * read).sum(dim=1).numpy()


def test_answers_are_open_clips_own_cosines(suspect):
    assert suspect.info.reads_captions
    assert suspect.answer_views("pictures", ASKED, SEEN).captions is None
    suspect.load_captions("pictures", CAPTIONS)
    answers = suspect.answer_views("pictures", ASKED, SEEN)
    np.testing.assert_allclose(answers.captions, by_open_clip(), atol=1e-5)
    assert answers.features.shape == (len(ASKED), TINY_CLIP["embed_dim"])
    suspect.load_images("pictures", IMAGES)  # the captions were those of the images before
    assert suspect.answer_views("pictures", ASKED, SEEN).captions is None


def test_a_caption_for_every_image_is_needed(suspect):
    with pytest.raises(SuspectError, match="one caption for every image"):
        suspect.load_captions("pictures", CAPTIONS[1:])
    with pytest.raises(SuspectError, match="after the images"):
        suspect.load_captions("others", CAPTIONS)


def test_files_without_a_text_tower_read_no_captions(tmp_path):
    image_tower = {name: item for name, item in clip_model().state_dict().items() if name.startswith("visual.")}
    for spec, path in (
        (clip_spec(), save(image_tower, tmp_path / "tower.safetensors")),
        (clip_spec(architecture="cifar_resnet:20", config=""), cifar_weights(tmp_path)),
    ):
        with SandboxedModel(spec, path) as opened:
            opened.load_images("pictures", IMAGES)
            assert not opened.info.reads_captions
            with pytest.raises(SuspectError, match="no text tower"):
                opened.load_captions("pictures", CAPTIONS)


def test_the_connection_test_tells_it(weights):
    assert check_connection(clip_spec(), weights).to_json()["reads_captions"] is True
