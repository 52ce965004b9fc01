"""Training runs: started by an auditor of the house, ended as a registered model, seen by the right people."""

import json
from dataclasses import replace

import pytest
import torch
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from safetensors.torch import load_file

from audits.forms.searched import SHOWN
from audits.models import RegisteredModel, Training
from audits.pilots.checked import TrainingError
from audits.pilots.methods import Moco, SimClr, Supervised
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training import _Run
from audits.services.trainings import starting
from provenance.errors import TouchmarkError
from provenance.intake.labels import Labels
from provenance.models import Job, LogEntry, Version
from provenance.services.jobs import queue, worker
from tests.audits import builders_reports
from tests.audits.builders_trainings import CAPTIONED, scenes_version

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]
QUICK = TrainingSettings(seed=0, epochs=1, batch_size=16)


@pytest.fixture
def version(world):
    return scenes_version(world)


def started(world, version, name="Tiny CLIP", **changes):
    return starting.start(name, version, by=world.auditor, settings=QUICK, **changes)


def worked_off(training):
    worker.run(str(training.job.pk))
    training.refresh_from_db()
    return training


def test_a_training_ends_as_a_registered_model_that_answers(world, version):
    training = started(world, version, class_names=("kite", "balloon"))
    training.refresh_from_db()
    assert training.state == Training.State.DONE, training.job.reason
    model = training.model
    assert (model.name, model.role, model.state) == ("Tiny CLIP", "suspect", "ready")
    assert model.spec["class_names"] == ["kite", "balloon"]
    assert model.connection["levels"] == ["features", "soft", "hard"]
    assert [point["epoch"] for point in training.curve] == [1]
    assert LogEntry.objects.filter(verb="training.started", subject_id=str(training.pk)).exists()


def test_a_reference_is_declared_never_to_have_seen_a_release(world, version, no_worker):
    training = worked_off(started(world, version, becomes=RegisteredModel.ModelRole.REFERENCE))
    assert training.model.is_reference
    assert training.model.declaration
    assert "unmarked original" in training.model.origin


def test_no_two_trainings_share_a_seed(world, version, monkeypatch, no_worker):
    draws = iter([5, 5, 5, 6])
    monkeypatch.setattr(starting.secrets, "randbelow", lambda limit: next(draws))
    first, second = (started(world, version, name) for name in ("One", "Two"))
    assert [row.settings["recipe"]["seed"] for row in (first, second)] == [5, 6]


@pytest.mark.parametrize("who", ["rights_holder", "legal", "administrator", "guest_auditor", "outsider"])
def test_only_auditors_of_the_owner_start_a_training(world, version, who):
    with pytest.raises(PermissionDenied):
        starting.start("Tiny CLIP", version, by=getattr(world, who), settings=QUICK)
    assert not Training.objects.exists()


def test_a_version_that_is_not_ready_cannot_be_trained_on(world, version):
    version.state = Version.State.READING
    with pytest.raises(TrainingError, match="not ready"):
        started(world, version)


@pytest.mark.parametrize(
    ("labels", "changes", "words"),
    [
        (Labels(), {"method": Supervised(), "encoder": "small_resnet:8", "side": 16}, "class for every image"),
        (Labels(), {}, "caption or a class for every image"),
        (CAPTIONED, {"batch_size": 41}, "40 images do not fill one step of 41"),
    ],
)
def test_what_images_cannot_teach_is_refused_before_anything_is_queued(world, labels, changes, words):
    version = scenes_version(world, labels=labels)
    with pytest.raises(TrainingError, match=words):
        starting.start("Model", version, by=world.auditor, settings=replace(QUICK, **changes))
    assert not Training.objects.exists()


@pytest.mark.parametrize(
    ("recipe", "class_names", "words"),
    [
        (QUICK, ("kite",), "two or more different"),
        (QUICK, ("kite", "kite"), "two or more different"),
        (TrainingSettings(seed=0, method=SimClr(), encoder="timm:nope", side=16), (), "no network “timm:nope”"),
        (TrainingSettings(seed=0, method=SimClr(), encoder="small_resnet:8", side=16), ("kite", "balloon"), "of CLIP"),
    ],
)
def test_what_could_not_be_registered_is_refused_before_it_is_trained(world, version, recipe, class_names, words):
    with pytest.raises(TouchmarkError, match=words):
        starting.start("Model", version, by=world.auditor, settings=recipe, class_names=class_names)
    assert not Training.objects.exists()


def test_a_name_that_is_being_trained_is_taken_until_that_fails(world, version, no_worker):
    first = started(world, version)
    with pytest.raises(TrainingError, match="is being trained already"):
        started(world, version)
    queue.cancel(first.job, by=world.auditor)
    assert started(world, version).name == "Tiny CLIP"


def test_the_name_of_another_model_is_refused_before_anything_is_trained(world, version, no_worker):
    worked_off(started(world, version))
    with pytest.raises(TrainingError, match="already"):
        started(world, version)


def test_images_without_caption_and_class_fail_with_a_sentence(world, version, no_worker):
    training = started(world, version)
    lines = version.manifest_folder / "manifest.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b'"caption"', b'"captiom"'))
    worked_off(training)
    assert training.state == Training.State.FAILED
    assert "manifest" in Job.objects.get(pk=training.job.pk).reason


def test_a_cancelled_training_says_so_and_registers_nothing(world, version, no_worker):
    training = started(world, version)
    queue.cancel(training.job, by=world.auditor)
    training.refresh_from_db()
    assert training.state == Training.State.CANCELLED
    assert not RegisteredModel.objects.exists()


def test_a_training_cancelled_while_it_runs_stops_and_may_be_tried_again(world, version, monkeypatch, no_worker):
    monkeypatch.setattr("provenance.services.jobs.running.PROGRESS_SECONDS", 0.0)
    training = started(world, version)
    Job.objects.filter(pk=training.job.pk).update(cancel_requested=True)
    assert worked_off(training).state == Training.State.CANCELLED
    queue.retry(training.job, by=world.auditor)
    assert worked_off(training).state == Training.State.DONE


def test_an_attempt_after_the_work_was_done_takes_the_model_that_is_there(world, version, no_worker):
    training = worked_off(started(world, version))
    model = training.model
    Training.objects.filter(pk=training.pk).update(model=None, state=Training.State.RUNNING)
    Job.objects.filter(pk=training.job.pk).update(state=Job.State.QUEUED)
    worked_off(training)
    assert (training.model, training.state) == (model, Training.State.DONE)
    assert RegisteredModel.objects.count() == 1


def test_pages_show_progress_curve_and_result(world, version, sign_in, no_worker):
    training = worked_off(started(world, version))
    page = sign_in(world.auditor).get(reverse("training_detail", args=[training.pk])).content.decode()
    assert "Tiny CLIP" in page
    assert "Loss by epoch" in page
    assert (
        "Mean loss of every epoch"
        in sign_in(world.auditor).get(reverse("training_curve", args=[training.pk])).content.decode()
    )
    listed = sign_in(world.auditor).get(reverse("training_list")).content.decode()
    assert reverse("training_detail", args=[training.pk]) in listed


def test_the_list_says_what_to_do_where_nothing_was_trained(world, sign_in):
    assert "make demo" in sign_in(world.auditor).get(reverse("training_list")).content.decode()


class TestForm:
    FILLED = {
        "name": "Reference A",
        "becomes": "reference",
        "method": "simclr",
        "epochs": "2",
        "batch_size": "16",
        "learning_rate": "0.001",
        "encoder": "small_resnet:8",
        "side": "24",
    }

    def sent(self, version, **changes):
        return self.FILLED | {"version": str(version.pk)} | changes

    def test_a_filled_form_starts_a_training(self, world, version, sign_in, no_worker):
        browser = sign_in(world.auditor)
        assert reverse("training_new") in browser.get(reverse("training_list")).content.decode()
        assert "small_resnet:16" in browser.get(reverse("training_new")).content.decode()
        answer = browser.post(reverse("training_new"), self.sent(version))
        training = Training.objects.get()
        assert answer.url == reverse("training_detail", args=[training.pk])
        recipe = TrainingSettings.from_json(training.settings["recipe"])
        assert (recipe.method, recipe.encoder, recipe.side, recipe.epochs) == (SimClr(), "small_resnet:8", 24, 2)
        assert (training.settings["becomes"], training.release, training.job.state) == ("reference", None, "queued")

    def test_clip_keeps_its_own_network_and_takes_class_names(self, world, version, sign_in, no_worker):
        sent = self.sent(version, method="clip", becomes="suspect", class_names="kite, balloon,")
        assert sign_in(world.auditor).post(reverse("training_new"), sent).status_code == 302
        training = Training.objects.get()
        assert training.settings["recipe"]["encoder"] == "open_clip:custom"
        assert training.settings["class_names"] == ["kite", "balloon"]

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"encoder": "resnet"}, "Name the encoder"),
            ({"epochs": "0"}, "greater than or equal to 1"),
            ({"name": ""}, "This field is required"),
            ({"learning_rate": "nan"}, "Enter a number"),
            ({"side": "4"}, "greater than or equal to 8"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_lost(self, world, version, sign_in, no_worker, changes, says):
        answer = sign_in(world.auditor).post(reverse("training_new"), self.sent(version, **changes))
        page = answer.content.decode()
        assert answer.status_code == 422
        assert says in page
        assert changes.get("name") == "" or 'value="Reference A"' in page
        assert not Training.objects.exists()

    def test_a_reference_never_sees_a_copy(self, world, sign_in, no_worker):
        release = builders_reports.release(world, scenes_version(world), "Northgate")
        sent = self.sent(release.version, release=str(release.pk))
        page = sign_in(world.auditor).post(reverse("training_new"), sent).content.decode()
        assert "A reference must never have seen a release" in page
        assert not Training.objects.exists()

    def test_among_many_rows_the_first_are_shown_and_others_found_by_name(self, world, version, sign_in):
        for number in range(30):
            builders_reports.release(world, version, f"House {number:02d}")
        other = scenes_version(world, name="Elsewhere")
        builders_reports.release(world, other, "Another house")
        browser = sign_in(world.auditor)
        page = browser.get(reverse("training_new"), {"version": str(version.pk)}).content.decode()
        assert page.count("The copy for House") == SHOWN
        assert 'name="release" value="" checked> The unmarked images of the version' in page
        assert 'name="begin_with" value="" checked> Random weights' in page
        assert "Only the first are shown, of 30" in page
        assert "Another house" not in page
        place = reverse("training_choices", args=["release"])
        asked = {"version": str(version.pk), "release_search": "house 29"}
        assert "The copy for House 29" in browser.get(place, asked).content.decode()
        chosen = str(version.releases.get(recipient="House 03").pk)
        kept = browser.get(place, asked | {"release": chosen}).content.decode()
        assert f'value="{chosen}" checked' in kept  # what was chosen stays, whatever is searched for
        assert kept.count("The copy for") == 2
        changed = browser.get(place, asked | {"version": str(other.pk), "whole": "version-field"}).content.decode()
        assert "Another house" in changed
        assert "House 29" not in changed
        assert browser.get(reverse("training_choices", args=["name"])).status_code == 404
        assert browser.get(place, {"version": "no id"}).status_code == 200

    def test_a_copy_of_another_version_is_refused_and_the_page_keeps_what_was_chosen(self, world, version, sign_in):
        elsewhere = builders_reports.release(world, scenes_version(world, name="Elsewhere"), "Northgate")
        sent = self.sent(version, becomes="suspect", release=str(elsewhere.pk))
        page = sign_in(world.auditor).post(reverse("training_new"), sent).content.decode()
        assert "Train on a ready release of this version." in page
        assert f'value="{version.pk}" checked' in page

    def test_who_has_no_version_is_told_where_they_come_from(self, world, sign_in):
        assert "There is no version to train on" in sign_in(world.auditor).get(reverse("training_new")).content.decode()


def of_another_method(method, **changes):
    recipe = {"seed": 0, "epochs": 2, "batch_size": 16, "encoder": "small_resnet:8:1-1", "side": 24, **changes}
    return TrainingSettings(method=method, **recipe)


def test_a_training_without_captions_ends_as_an_encoder_that_gives_features(world, version):
    settings = of_another_method(SimClr())
    training = starting.start("Pictures alone", version, by=world.auditor, settings=settings)
    training.refresh_from_db()
    assert training.state == Training.State.DONE, training.job.reason
    assert training.model.spec["architecture"] == "small_resnet:8:1-1"
    assert training.model.connection["levels"] == ["features"]


def test_what_cannot_be_learnt_from_fails_with_a_sentence(world, version, no_worker):
    settings = of_another_method(Moco(queue=500))
    training = worked_off(starting.start("Long queue", version, by=world.auditor, settings=settings))
    assert training.state == Training.State.FAILED
    assert "longer than the training set of 40" in Job.objects.get(pk=training.job.pk).reason


def test_a_training_that_is_killed_goes_on_after_its_last_whole_epoch(world, version, settings, monkeypatch, no_worker):
    class Killed(BaseException):
        """As a signal would end it."""

    def killed(run, training, weights):
        raise Killed

    started_row = starting.start("Killed", version, by=world.auditor, settings=of_another_method(SimClr()))
    with monkeypatch.context() as while_killed:
        while_killed.setattr("audits.services.trainings.job._register", killed)
        with pytest.raises(Killed):
            worker.run(str(started_row.job.pk))
    folder = settings.FILES_DIR / "trainings" / str(started_row.pk)
    assert (folder / "checkpoint.pt").exists()
    trained = []
    one_epoch = _Run.one_epoch
    monkeypatch.setattr(_Run, "one_epoch", lambda run: (trained.append(run.epoch), one_epoch(run)))
    Job.objects.filter(pk=started_row.job.pk).update(state=Job.State.QUEUED)
    training = worked_off(started_row)
    assert training.state == Training.State.DONE
    assert trained == []
    assert [point["epoch"] for point in training.curve] == [1, 2]
    assert not folder.exists()


class TestTuning:
    def test_a_model_trained_here_is_tuned_further(self, world, version, no_worker, sign_in):
        base = worked_off(starting.start("Base", version, by=world.auditor, settings=of_another_method(SimClr()))).model
        still = of_another_method(SimClr(), learning_rate=0.0)
        training = worked_off(starting.start("Tuned", version, by=world.auditor, settings=still, begin_with=base))
        assert training.state == Training.State.DONE, training.job.reason
        weights = [load_file(model.weights.path)["blocks.0.conv1.weight"] for model in (base, training.model)]
        assert torch.equal(*weights)
        assert str(base.pk) in training.model.origin
        page = sign_in(world.auditor).get(reverse("training_detail", args=[training.pk])).content.decode()
        assert "Begins with" in page

    def test_models_from_elsewhere_and_other_networks_are_refused(self, world, version, no_worker):
        settings = of_another_method(SimClr())
        base = worked_off(starting.start("Base", version, by=world.auditor, settings=settings)).model
        other = replace(settings, encoder="small_resnet:16:1-1")
        with pytest.raises(TrainingError, match="same network"):
            starting.start("Tuned", version, by=world.auditor, settings=other, begin_with=base)
        Training.objects.update(model=None)
        with pytest.raises(TrainingError, match="trained itself"):
            starting.start("Tuned", version, by=world.auditor, settings=settings, begin_with=base)

    def test_a_reference_never_begins_with_a_model_that_saw_a_release(self, world, version, no_worker):
        settings, reference = of_another_method(SimClr(), epochs=1), RegisteredModel.ModelRole.REFERENCE

        def tune(name, model, becomes="suspect"):
            row = starting.start(name, version, by=world.auditor, settings=settings, begin_with=model, becomes=becomes)
            return worked_off(row)

        first = worked_off(starting.start("First", version, by=world.auditor, settings=settings))
        second = tune("Second", first.model)
        assert tune("Fine", second.model, reference).model.is_reference
        Training.objects.filter(pk=first.pk).update(release=builders_reports.release(world, version, "Northgate"))
        for model in (first.model, second.model):
            with pytest.raises(TrainingError, match="nor begin with"):
                tune("Not", model, reference)


def test_a_classifier_gives_labels_and_its_curve_shows_neighbours(world, version, sign_in):
    """The scenes have captions alone, so classes are written into the manifest that the training reads."""
    lines = version.manifest_folder / "manifest.jsonl"
    classes = iter("ab" * 40)
    lines.write_text(
        "".join(
            json.dumps(json.loads(line) | {"label": next(classes)}, sort_keys=True, separators=(",", ":")) + "\n"
            for line in lines.read_text().splitlines()
        )
    )
    training = starting.start("Classes", version, by=world.auditor, settings=of_another_method(Supervised()))
    training.refresh_from_db()
    assert training.state == Training.State.DONE, training.job.reason
    assert training.model.connection["levels"] == ["features", "soft", "hard"]
    assert all(0 <= point["accuracy"] <= 1 for point in training.curve)
    page = sign_in(world.auditor).get(reverse("training_curve", args=[training.pk])).content.decode()
    assert "Neighbours of the same class" in page
