"""A keyed choice's alternatives are asked about in views, once each, in portions, and a killed job goes on."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from audits.asking.measuring import already_answered, measure
from audits.asking.questions import MeasuringError
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from tests.audits.builders_choices import SIDE, Remembering, alternatives, view_question

COUNT, VIEWS = 400, 4


class Stop(Exception):  # noqa: N818
    pass


def ask(model, question, folder, on_block=lambda images: None, patterns=None):
    measure(question, folder, model, on_block, patterns)
    return ViewAnswers(folder, len(question.images))


def whole(answers, kind="features"):
    return np.concatenate(list(answers.parts(kind)))


def test_every_alternative_is_asked_once_in_every_view_and_never_plainly(tmp_path):
    question, model, counted = view_question(alternatives(COUNT)), Remembering(1), []
    answers = ask(model, question, tmp_path, counted.append)
    assert sorted(model.heard) == sorted((image.tobytes(), v) for image in question.images for v in range(VIEWS))
    assert model.plain_asked == 0
    assert sum(counted) == question.forward_passes == COUNT * VIEWS
    assert model.most_held <= 256
    assert whole(answers).shape == (COUNT, VIEWS, 24)
    assert answers.has("soft")
    assert not answers.has("hard")


def test_answers_stand_in_the_order_of_images_and_views(tmp_path):
    question = view_question(alternatives(COUNT))
    found = whole(ask(Remembering(1), question, tmp_path))
    model = Remembering(1)
    model.load_views(question.views)
    model.load_images("all", question.images)
    for image, view in ((0, 0), (7, 3), (255, 1), (256, 2), (399, 3)):
        alone = model.answer_views("all", np.array([image]), np.array([view])).features[0]
        np.testing.assert_allclose(found[image, view], alone, atol=1e-5)


def test_questions_go_out_in_a_shuffle_that_follows_from_the_question(tmp_path):
    images = alternatives(COUNT)
    heard = []
    for number, subject in enumerate(("one", "one", "another")):
        model = Remembering(1)
        ask(model, view_question(images, subject=subject), tmp_path / str(number))
        heard.append(model.heard)
    assert heard[0] == heard[1] != heard[2]
    views = [view for _, view in heard[0][:256]]
    assert all(views.count(view) > 30 for view in range(VIEWS))
    assert sum(one <= two for one, two in itertools.pairwise(views)) < 200


def test_a_killed_measurement_resumes_and_gives_the_same_answers(tmp_path):
    question, seen = view_question(alternatives(COUNT)), []

    def stop_in_the_middle(images):
        seen.append(images)
        if len(seen) == 5:  # inside the second portion
            raise Stop

    model, again = Remembering(1), Remembering(1)
    with pytest.raises(Stop):
        ask(model, question, tmp_path / "killed", stop_in_the_middle)
    assert already_answered(question, tmp_path / "killed") == len(model.heard) == 5 * 256
    resumed = ask(again, question, tmp_path / "killed")
    assert len(model.heard) + len(again.heard) == question.forward_passes
    once = ask(Remembering(1), question, tmp_path / "once")
    assert np.array_equal(whole(resumed), whole(once))


def test_a_look_asks_about_the_first_ones_only_and_the_next_goes_on(tmp_path):
    question, model = view_question(alternatives(600)), Remembering(1)
    ask(model, question, tmp_path / "looks", patterns=range(256))
    assert len(model.heard) == 256 * VIEWS
    first = whole(ViewAnswers(tmp_path / "looks", 200))
    with pytest.raises(MeasuringError, match="not complete"):
        whole(ViewAnswers(tmp_path / "looks", 600))
    ask(model, question, tmp_path / "looks")
    assert len(model.heard) == question.forward_passes
    every = whole(ViewAnswers(tmp_path / "looks", 600))
    assert np.array_equal(every[:200], first)
    assert np.array_equal(every, whole(ask(Remembering(1), question, tmp_path / "at once")))


def test_answers_to_another_question_are_refused(tmp_path):
    question = view_question(alternatives(20))
    ask(Remembering(1), question, tmp_path)
    for other in (replace(question, subject="another"), view_question(alternatives(20, seed=1))):
        with pytest.raises(MeasuringError, match="other images"):
            ask(Remembering(1), other, tmp_path)


class Reading(Remembering):
    """Its cosine with a caption is the caption's length over a hundred."""

    def load_captions(self, name, captions):
        assert len(captions) == len(self.images)
        self.lengths = np.array([len(caption) for caption in captions], np.float32) / 100

    def answer_views(self, name, indices, views):
        return replace(super().answer_views(name, indices, views), captions=self.lengths[indices])


def test_captions_go_out_with_their_images_and_missing_ones_stay_missing(tmp_path):
    captions = [None if number % 7 == 0 else "x" * (number % 90) for number in range(COUNT)]
    question = replace(view_question(alternatives(COUNT)), captions=captions)
    found = whole(ask(Reading(1), question, tmp_path), "captions")
    assert found.shape == (COUNT, VIEWS, 1)
    for number, caption in enumerate(captions):
        wanted = np.nan if caption is None else len(caption) / 100
        np.testing.assert_allclose(found[number, :, 0], wanted, atol=1e-6)


def test_other_captions_are_another_question_and_models_without_a_text_tower_are_refused(tmp_path):
    plain = view_question(alternatives(20))
    captioned = replace(plain, captions=["a"] * 20)
    assert len({plain.digest, captioned.digest, replace(plain, captions=["b"] * 20).digest}) == 3
    with pytest.raises(MeasuringError, match="captions"):
        ask(Remembering(1), captioned, tmp_path)
    with pytest.raises(MeasuringError, match="caption"):
        replace(plain, captions=["a"] * 19)


def test_views_must_fit_the_images():
    question = view_question(alternatives(20))
    with pytest.raises(MeasuringError):
        ViewQuestion("a", np.zeros((20, SIDE + 1, SIDE + 1, 3), np.uint8), question.views)
