"""Every choice of a plan is declared once: form, command, frozen text, refusals and page follow from it."""

import json
from dataclasses import replace
from html import unescape
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command, load_command_class
from django.urls import reverse

from audits.forms.plan_choices import choice_fields, field_name
from audits.models import Plan
from audits.planning.choices import CHOICES, PlanChoices, refusals
from audits.planning.declaration import Choice, Part
from audits.services.plans.drafting import save_draft
from audits.services.plans.frozen import digest_of, frozen_text, read_by_runs
from audits.services.plans.values import FIELDS, values_of
from provenance.marks import ImageBlocks, MarkSettings, WithheldSettings
from provenance.marks.blocking_file import write_blocking
from tests.audits.builders_plans import as_form, changed, plan_values
from tests.audits.builders_reports import GROUPS, model

every_choice = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
SETS = (MarkSettings(groups=tuple(GROUPS), share=0.1), MarkSettings(association="plain", share=0.1))


def another(choice: Choice) -> Any:
    """A value that is not the default and contradicts nothing."""
    if choice.part is Part.LEVELS:
        return ["hard"] if choice.is_several else "soft"
    if isinstance(choice.default, bool):
        return not choice.default
    if choice.words:
        return list(choice.words)[-1]
    if choice.name in (
        others := {"smallest_crop": 0.5, "kept_share": 0.5, "decoys": 399}
    ):  # enough to tell a rigged reference
        return others[choice.name]
    return choice.default + 1 if isinstance(choice.default, int) else choice.default * 2


ANOTHER = {choice.name: another(choice) for choice in CHOICES}


@pytest.fixture
def values(world):
    """A plan that needs every choice: of its release, which bears both kinds of marks, images stayed home, and there is
    a reference."""
    found = changed(plan_values(world), references=[model(world.owner, world.auditor, "reference-1", "reference")])
    (made,) = found.releases
    every = np.arange(made.version.file_count, dtype=np.int32)
    blocking = write_blocking(made.version.folder, ImageBlocks(every, (every // 4).astype(np.int32)))
    home = WithheldSettings(blocking=blocking)
    made.key.settings = {"sets": [settings.to_dict() for settings in (*SETS, home)]}
    made.key.save()
    return found


def chosen_in(plan: Plan) -> dict[str, Any]:
    saved = values_of(plan)
    return {choice.name: getattr(saved, choice.name) for choice in CHOICES}


@every_choice
def test_a_column_holds_every_choice_and_has_its_default(choice):
    default = Plan._meta.get_field(choice.name).get_default()
    assert (tuple(default) if choice.is_several else default) == choice.default


@every_choice
def test_the_form_asks_for_every_choice_in_its_words(choice):
    field = choice_fields()[field_name(choice)]
    assert (field.label, field.help_text) == (choice.label, choice.help)


@every_choice
def test_the_command_has_an_option_for_every_choice(choice):
    parser = load_command_class("audits", "plan_audit").create_parser("manage.py", "plan_audit")
    (action,) = [action for action in parser._actions if action.dest == choice.name]
    assert action.option_strings == [choice.option.flag]
    assert (tuple(action.default) if choice.is_several else action.default) == choice.default


def test_rows_that_a_plan_names_have_their_words_from_their_declaration(world):
    parser = load_command_class("audits", "plan_audit").create_parser("manage.py", "plan_audit")
    helps = {flag: action.help for action in parser._actions for flag in action.option_strings}
    for field in FIELDS.values():
        assert field.label
        if field.part is Part.TESTED:
            assert helps[field.option.flag] == field.option.help


@pytest.mark.django_db
def test_the_form_shows_and_saves_every_choice(world, values, sign_in):
    browser = sign_in(world.auditor)
    data = as_form(changed(values, **ANOTHER))
    assert browser.post(reverse("plan_new"), data).status_code == 302
    plan = Plan.objects.get()
    assert chosen_in(plan) == ANOTHER
    page = unescape(browser.get(reverse("plan_edit", args=[plan.pk])).content.decode())
    for choice in CHOICES:
        assert f'name="{field_name(choice)}"' in page
        assert choice.label in page
        assert choice.help in page


@pytest.mark.django_db
def test_the_command_saves_every_choice(world, values):
    told = [part for choice in CHOICES for part in _told(choice)]
    named = ["--dataset", "Meadows", "--suspect", "suspect-1", "--reference", "reference-1"]
    out = StringIO()
    call_command("plan_audit", "--as", "adam", "--json", *named, *told, stdout=out)
    assert chosen_in(Plan.objects.get(pk=json.loads(out.getvalue())["plan"])) == ANOTHER


def _told(choice: Choice) -> list[str]:
    value = ANOTHER[choice.name]
    if isinstance(value, bool):
        return [choice.option.flag]
    return [choice.option.flag, *value] if choice.is_several else [choice.option.flag, str(value)]


@pytest.mark.django_db
def test_no_choice_can_change_without_the_digest_of_the_frozen_text(world, values):
    plan = save_draft(values, by=world.auditor)
    usual = frozen_text(plan, values)
    for choice in CHOICES:
        other = changed(values, **{choice.name: ANOTHER[choice.name]})
        text = frozen_text(plan, other)
        assert digest_of(text) != digest_of(usual), choice.name
        assert read_by_runs(other) != read_by_runs(values), choice.name
        if choice.frozen:
            assert (text | text["controls"])[choice.frozen.key] == choice.frozen.words(ANOTHER[choice.name])


@pytest.mark.django_db
@pytest.mark.parametrize("more", [{}, ANOTHER], ids=["usual", "another"])
def test_the_page_shows_every_choice(world, values, sign_in, more):
    plan = save_draft(changed(values, **more), by=world.auditor)
    page = unescape(sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode())
    for choice in CHOICES:
        if choice.part is not Part.LEVELS:  # whose line names them together
            words = choice.shown.words(getattr(plan, choice.name))
            assert f"<dt>{choice.shown.label}</dt><dd>{words}</dd>" in page


@pytest.mark.parametrize(
    ("needed", "missing"),
    [
        ({"plain", "keyed_choice"}, {"group_images", "permutations"}),
        ({"associated", "keyed_choice"}, {"decoys", "exceedances"}),
        ({"plain", "associated"}, {"views", "smallest_crop", "looks", "membership_score", "kept_share", "asks_kept"}),
        ({"keyed_choice"}, {"probes", "group_images", "permutations", "decoys", "exceedances"}),
        ({"plain", "associated", "keyed_choice"}, set()),
    ],
)
def test_choices_that_no_mark_set_needs_are_left_out(needed, missing):
    left_out = {c.name for c in CHOICES if not c.is_needed(**ways(*needed))}
    assert left_out == missing


def ways(*needed: str) -> dict[str, bool]:
    return {name: name in needed for name in ("plain", "associated", "keyed_choice")}


def test_a_choice_out_of_its_bounds_is_refused_where_it_is_needed():
    every = ways("plain", "associated", "keyed_choice")
    assert list(refusals(PlanChoices(), **every)) == []
    bounded = [choice for choice in CHOICES if choice.bounds and choice.bounds.refusal]
    assert len(bounded) >= 4
    for choice in bounded:
        below = replace(PlanChoices(), **{choice.name: choice.bounds.least - 1})
        assert list(refusals(below, **every)) == [choice.bounds.refusal]
        unneeded = choice.part is Part.ASSIGNMENTS
        assert bool(list(refusals(below, **ways("plain", "keyed_choice")))) != unneeded
        if choice.bounds.most is not None:
            above = replace(PlanChoices(), **{choice.name: choice.bounds.most * 2})
            assert list(refusals(above, **every)) == [choice.bounds.refusal]
