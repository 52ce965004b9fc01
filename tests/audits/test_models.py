"""Suspects and references: registered, refused, declared, tested, described anew — by page, service and command."""

import dataclasses
import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest
import torch
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.models import Plan, RegisteredModel
from audits.services.models import connection, registering
from audits.services.models.errors import RegistrationError
from audits.services.models.registering import Registration, latest_day
from audits.services.models.sightings import first_sight
from audits.suspects import FormatError, ModelSpec, SpecError
from provenance.models import Dataset, Job, LogEntry, Upload, Version
from tests.audits.suspects.models import cifar_weights, onnx_file

SPEC = ModelSpec("cifar_resnet:20", returns=("features", "soft", "hard"))
SUSPECT = Registration("Suspect", "suspect", SPEC)
REFERENCE = Registration("Reference", "reference", SPEC, origin="made by ourselves in 2020", declared=True)


@pytest.fixture
def weights(tmp_path):
    return cifar_weights(tmp_path)


def uploaded(world, path, by=None):
    upload = Upload.objects.create(
        organisation=world.owner,
        created_by=by or world.auditor,
        name=path.name,
        size=path.stat().st_size,
        received=path.stat().st_size,
    )
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, upload.path)
    return upload


def connection_job(model):
    assert model.connection_job is not None
    return model.connection_job


def run_jobs():
    """Works off what waits, as a worker would."""
    from provenance.services.jobs import worker

    while job := Job.objects.filter(state=Job.State.QUEUED).order_by("created_at").first():
        worker.run(str(job.pk))


@pytest.mark.suspect
def test_an_uploaded_model_is_stored_logged_and_tested(world, weights, no_worker):
    upload = uploaded(world, weights)
    model = registering.register_upload(world.owner, SUSPECT, upload, by=world.auditor)
    assert model.state == RegisteredModel.State.ARRIVING
    assert not RegisteredModel.objects.suspects().exists()
    run_jobs()
    model.refresh_from_db()
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (model.state, model.sha256, model.weights_format) == ("ready", digest, "safetensors")
    assert model.weights.read() == weights.read_bytes()
    assert connection_job(model).state == Job.State.DONE
    assert model.connection["input_shape"] == [3, 32, 32]
    assert model.connection["images_per_second"] > 0
    # What the description had left open is spelled out, so that a plan freezes it.
    assert model.model_spec.input_size == 32
    assert model.model_spec.classes == 10
    verbs = list(LogEntry.objects.about(model).values_list("verb", flat=True))
    assert verbs == ["model.registered", "model.tested"]
    assert LogEntry.objects.about(model).get(verb="model.registered").digests == {"weights": digest}
    assert not upload.path.exists()
    assert RegisteredModel.objects.suspects().get() == model


@pytest.mark.usefixtures("no_worker")
class TestBeforeTheTest:
    def test_a_references_declaration_is_logged_with_who_and_where_from(self, world, weights):
        model = registering.register_local(world.owner, REFERENCE, weights, by=world.auditor)
        entry = LogEntry.objects.about(model).get(verb="reference.declared")
        assert entry.actor == world.auditor
        assert entry.details["origin"] == "made by ourselves in 2020"
        assert "not trained" in entry.details["declaration"]
        assert entry.digests == {"weights": model.sha256}
        assert (model.declared_by, model.declaration) == (world.auditor, registering.DECLARATION)

    @pytest.mark.parametrize(
        ("changes", "word"),
        [({"declared": False}, "declaration"), ({"origin": " "}, "comes from"), ({"name": ""}, "name")],
    )
    def test_an_incomplete_reference_is_refused(self, world, weights, changes, word):
        registration = Registration(**{**vars(REFERENCE), **changes})
        with pytest.raises(RegistrationError, match=word):
            registering.register_local(world.owner, registration, weights, by=world.auditor)
        assert not RegisteredModel.objects.exists()

    def test_the_same_weights_cannot_be_suspected_and_vouched_for(self, world, weights):
        registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)
        upload = uploaded(world, weights)
        model = registering.register_upload(world.owner, REFERENCE, upload, by=world.auditor)
        run_job_of(model)
        model.refresh_from_db()
        assert model.state == RegisteredModel.State.REFUSED
        assert "registered as the suspect “Suspect”" in model.reason
        assert not LogEntry.objects.about(model).exists()
        # The name of a refused model is free again.
        again = registering.register_upload(world.owner, REFERENCE, uploaded(world, other(weights)), by=world.auditor)
        run_job_of(again)
        assert RegisteredModel.objects.references().get() == again

    def test_weights_that_can_run_code_are_refused_before_anything_is_kept(self, world, tmp_path):
        torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
        with pytest.raises(FormatError, match="can run code"):
            registering.register_upload(world.owner, SUSPECT, uploaded(world, tmp_path / "whole.pt"), by=world.auditor)
        assert not RegisteredModel.objects.exists()
        assert not Upload.objects.get().consumed

    def test_architecture_and_file_must_belong_together(self, world, weights, tmp_path):
        with pytest.raises(SpecError, match="needs an ONNX file"):
            registering.register_local(
                world.owner, Registration("x", "suspect", ModelSpec("onnx")), weights, by=world.auditor
            )
        with pytest.raises(SpecError, match="ONNX network"):
            registering.register_local(world.owner, SUSPECT, onnx_file(tmp_path / "n.onnx"), by=world.auditor)

    def test_a_name_is_given_once(self, world, weights):
        registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)
        with pytest.raises(RegistrationError, match="already"):
            registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)

    @pytest.mark.parametrize("who", ["rights_holder", "legal", "administrator", "guest_auditor", "outsider"])
    def test_only_the_organisations_auditors_may_register(self, world, weights, who):
        with pytest.raises(PermissionDenied):
            registering.register_local(world.owner, SUSPECT, weights, by=getattr(world, who))

    def test_an_upload_belongs_to_whoever_made_it(self, world, weights):
        with pytest.raises(PermissionDenied):
            registering.register_upload(
                world.owner, SUSPECT, uploaded(world, weights, world.outsider), by=world.auditor
            )

    def test_server_files_only_under_the_allowed_folders(self, world, weights, tmp_path, settings):
        with pytest.raises(RegistrationError, match="allows no folders"):
            registering.server_file(str(weights))
        allowed = tmp_path / "allowed"
        allowed.mkdir()
        settings.SERVER_ROOTS = [allowed]
        (allowed / "link").symlink_to(weights)
        for place in (str(weights), str(allowed / "link"), str(allowed / ".." / weights.name), "\0", str(allowed)):
            with pytest.raises(RegistrationError, match="no such file"):
                registering.server_file(place)
        inside = shutil.copy(weights, allowed / "w.safetensors")
        model = registering.register_server_file(world.owner, SUSPECT, str(inside), by=world.auditor)
        run_job_of(model)
        assert RegisteredModel.objects.suspects().get().weights_name == "w.safetensors"

    def test_a_killed_job_runs_again_without_a_second_copy(self, world, weights):
        from django.core.files.base import ContentFile
        from django.core.files.storage import default_storage

        model = registering.register_upload(world.owner, SUSPECT, uploaded(world, weights), by=world.auditor)
        default_storage.save(f"weights/{model.pk}", ContentFile(b"half a file"))
        run_job_of(model)
        model.refresh_from_db()
        assert model.weights.name == f"weights/{model.pk}"
        assert default_storage.listdir("weights")[1] == [str(model.pk)]
        assert model.weights.read() == weights.read_bytes()

    def test_a_locked_plan_freezes_the_description(self, world, weights):
        model = registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)
        described = registering.describe(model, ModelSpec("cifar_resnet:20", mean=(0.5,) * 3), by=world.auditor)
        assert described.model_spec.mean == (0.5, 0.5, 0.5)
        assert LogEntry.objects.about(model).filter(verb="model.described").exists()
        dataset = Dataset.objects.create(organisation=world.owner, name="Meadows", created_by=world.rights_holder)
        version = Version.objects.create(dataset=dataset, number=1, created_by=world.rights_holder)
        plan = Plan.objects.create(
            organisation=world.owner, name="p", version=version, suspect=model, created_by=world.auditor
        )
        registering.describe(model, SPEC, by=world.auditor)
        Plan.objects.filter(pk=plan.pk).update(state=Plan.State.LOCKED)
        with pytest.raises(RegistrationError, match="locked plan"):
            registering.describe(model, SPEC, by=world.auditor)

    def test_a_second_test_waits_for_the_first(self, world, weights):
        model = registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)
        assert connection.test_connection(model, by=world.auditor) == model.connection_job
        assert Job.objects.filter(kind="model.connection_test").count() == 1


def run_job_of(model):
    from provenance.services.jobs import worker

    worker.run(str(Job.objects.about(model).get(kind="model.take_weights").pk))


def other(path):
    from tests.audits.suspects.models import cifar_weights

    folder = path.parent / "other"
    folder.mkdir()
    return cifar_weights(folder, seed=9)


@pytest.mark.suspect
def test_weights_that_do_not_fit_fail_with_a_sentence_and_can_be_described_anew(world, weights, no_worker, sign_in):
    wrong = Registration("Suspect", "suspect", ModelSpec("cifar_resnet:32"))
    model = registering.register_local(world.owner, wrong, weights, by=world.auditor)
    run_jobs()
    model.refresh_from_db()
    assert model.connection == {}
    assert connection_job(model).state == Job.State.FAILED
    assert "do not fit cifar_resnet:32" in connection_job(model).reason
    page = sign_in(world.auditor).get(reverse("model_detail", args=[model.pk])).content.decode()
    assert "do not fit cifar_resnet:32" in page
    assert "Describe it anew" in page


@pytest.mark.suspect
def test_the_command_registers_and_tests_and_answers_in_json(world, weights, capsys):
    call_command(
        "register_model", str(weights), "--as=adam", "--name=Stranger", "--architecture=cifar_resnet:20",
        "--returns", "features", "soft", "--json", "--here",
    )  # fmt: skip
    answer = json.loads(capsys.readouterr().out)
    assert answer["connection"]["levels"] == ["features", "soft", "hard"]
    assert RegisteredModel.objects.get(pk=answer["model"]).sha256 == answer["sha256"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--name=x", "--architecture=timm:nothing"], "not an architecture"),
        (["--name=x"], "--architecture"),
        (["--name=x", "--architecture=cifar_resnet:20", "--role=reference", "--origin=us"], "declaration"),
        (["--name=x", "--architecture=cifar_resnet:20", "--organisation=Cedar Company"], "auditor"),
        (["--name=x", "--spec=absent.json"], "JSON"),
    ],
)
def test_the_command_refuses_with_a_sentence_and_exit_code_one(world, weights, capsys, options, word):
    with pytest.raises(SystemExit) as stopped:
        call_command("register_model", str(weights), "--as=adam", "--json", *options)
    assert stopped.value.code == 1
    assert word in json.loads(capsys.readouterr().out)["error"]
    assert not RegisteredModel.objects.exists()


@pytest.fixture
def form(world):
    return {
        "organisation": str(world.owner.pk), "role": "suspect", "name": "Stranger", "architecture": "cifar_resnet:20",
        "returns": ["features", "labels"], "mean": "0.5 0.5, 0.5", "channels": "3",
    }  # fmt: skip


@pytest.mark.usefixtures("no_worker")
class TestPages:
    def test_the_form_registers_an_upload(self, world, weights, sign_in, form):
        form["upload"] = str(uploaded(world, weights).pk)
        answer = sign_in(world.auditor).post(reverse("model_new"), form)
        model = RegisteredModel.objects.get()
        assert answer["Location"] == reverse("model_detail", args=[model.pk])
        assert model.model_spec.returns == ("features", "soft", "hard")
        assert model.model_spec.mean == (0.5, 0.5, 0.5)
        assert model.model_spec.top_k is None

    def test_an_interface_that_names_its_likeliest_labels_is_described(self, world, weights, sign_in, form):
        form |= {"upload": str(uploaded(world, weights).pk), "top_k": "5"}
        page = sign_in(world.auditor).post(reverse("model_new"), form, follow=True)
        model = RegisteredModel.objects.get()
        assert model.model_spec.top_k == 5
        assert "features, soft, hard; of soft labels the likeliest 5" in page.content.decode()
        page = sign_in(world.auditor).get(reverse("model_describe", args=[model.pk]))
        assert page.context["form"]["top_k"].value() == 5

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({}, "Upload the weights"),
            ({"mean": "a b c"}, "plain numbers"),
            ({"mean": "0.5"}, "one number per input channel"),
            ({"architecture": "timm:nothing"}, "not an architecture"),
            ({"architecture": "open_clip:ViT-B-32"}, "two or more different class names"),
            ({"role": "reference"}, "logged under your name"),
            ({"upload": "6f6f6f6f-6f6f-4f6f-8f6f-6f6f6f6f6f6f"}, "not there any more"),
            ({"name": ""}, "This field is required"),
        ],
    )
    def test_the_form_says_what_is_wrong(self, world, sign_in, form, changes, word):
        answer = sign_in(world.auditor).post(reverse("model_new"), form | changes)
        assert answer.status_code == 200
        assert word in answer.content.decode()
        assert not RegisteredModel.objects.exists()

    def test_a_pickle_is_refused_on_the_page(self, world, tmp_path, sign_in, form):
        torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
        form["upload"] = str(uploaded(world, tmp_path / "whole.pt").pk)
        page = sign_in(world.auditor).post(reverse("model_new"), form).content.decode()
        assert "torch.nn.modules.linear.Linear" in page

    def test_the_list_searches_filters_and_hides_other_organisations(self, world, weights, sign_in):
        registering.register_local(world.owner, SUSPECT, weights, by=world.auditor)
        registering.register_local(world.owner, REFERENCE, other(weights), by=world.auditor)
        owner, outsider = sign_in(world.legal), sign_in(world.outsider)
        both = owner.get(reverse("model_list")).content.decode()
        assert "Suspect</a></th>" in both
        assert "Reference</a></th>" in both
        assert "Suspect</a></th>" not in owner.get(reverse("model_list"), {"role": "reference"}).content.decode()
        assert "Nothing found" in owner.get(reverse("model_list"), {"q": "nothing like it"}).content.decode()
        assert "Reference</a></th>" in owner.get(reverse("model_list"), {"q": "ourselves"}).content.decode()
        assert "No models yet" in outsider.get(reverse("model_list")).content.decode()

    def test_architectures_are_found_by_parts_of_their_name(self, world, sign_in):
        browser = sign_in(world.auditor)
        page = browser.get(
            reverse("architecture_search"), {"architecture_search": "vit b 32", "architecture": "timm:resnet18"}
        ).content.decode()
        assert 'value="open_clip:ViT-B-32"' in page
        assert 'value="timm:resnet18" checked' in page
        nothing = browser.get(reverse("architecture_search"), {"architecture_search": "zzz"}).content.decode()
        assert "No architecture" in nothing
        many = browser.get(reverse("architecture_search"), {"architecture_search": "vit"}).content.decode()
        assert "write more of the name" in many
        one = browser.get(reverse("architecture_search"), {"architecture_search": "cifar_resnet:20"}).content.decode()
        assert "fits." in one
        assert "write more of the name" not in one


class TestPublication:
    """The day on which a suspect came out decides which keys came too late."""

    def test_it_is_kept_logged_and_shown(self, world, weights, no_worker, sign_in):
        said = dataclasses.replace(SUSPECT, published_on=date(2026, 3, 1))
        model = registering.register_local(world.owner, said, weights, by=world.auditor)
        assert model.published_on == date(2026, 3, 1)
        assert LogEntry.objects.about(model).get(verb="model.registered").details["published on"] == "2026-03-01"
        page = sign_in(world.auditor).get(reverse("model_detail", args=[model.pk])).content.decode()
        assert "1 March 2026, as declared" in page
        silent = registering.register_local(
            world.owner, dataclasses.replace(SUSPECT, name="Silent"), weights, by=world.auditor
        )
        assert "published on" not in LogEntry.objects.about(silent).get(verb="model.registered").details

    def test_a_day_to_come_is_refused(self, world, weights):
        said = dataclasses.replace(SUSPECT, published_on=timezone.now().date() + timedelta(days=2))
        with pytest.raises(RegistrationError, match="lies in the future"):
            registering.register_local(world.owner, said, weights, by=world.auditor)

    def test_today_is_taken_wherever_somebody_is(self, world, weights, no_worker, monkeypatch):
        """In Auckland and Kiritimati the next day has begun long before it does in UTC."""
        at = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
        assert [latest_day(at - timedelta(hours=hours)) for hours in (0, 1)] == [date(2026, 5, 5), date(2026, 5, 4)]
        monkeypatch.setattr(timezone, "now", lambda: at)
        said = dataclasses.replace(SUSPECT, published_on=date(2026, 5, 5))
        model = registering.register_local(world.owner, said, weights, by=world.auditor)
        assert (model.published_on, first_sight(model, world.owner)) == (date(2026, 5, 5), model.created_at)
        with pytest.raises(RegistrationError, match="lies in the future"):
            registering.register_local(
                world.owner, dataclasses.replace(said, published_on=date(2026, 5, 6)), weights, by=world.auditor
            )

    def test_form_and_command_take_it(self, world, weights, no_worker, sign_in, capsys):
        upload = uploaded(world, weights)
        data = {"organisation": world.owner.pk, "role": "suspect", "name": "By form", "upload": upload.pk}
        data |= {"architecture": "cifar_resnet:20", "returns": ["features"], "published_on": "2026-03-01"}
        browser = sign_in(world.auditor)
        assert "It cannot be changed after registration." in browser.get(reverse("model_new")).content.decode()
        browser.post(reverse("model_new"), data)
        assert RegisteredModel.objects.get(name="By form").published_on == date(2026, 3, 1)
        call_command("register_model", weights, "--as", "adam", "--name", "By command", "--json",
                     "--architecture", "cifar_resnet:20", "--published-on", "2026-03-02")  # fmt: skip
        assert json.loads(capsys.readouterr().out)["published_on"] == "2026-03-02"
