"""Charts of a pilot by the epoch: what stayed home, associated marks, and how trainings went."""

from dataclasses import replace

import pytest

from audits.pilots.pilot.found import PilotFound
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.pilot.summary import summaries
from audits.services.pilots.curves import COLOURS, curves_chart, growth_charts
from tests.audits.builders_pilots import finished

pytestmark = pytest.mark.django_db(transaction=True)


def test_marks_and_images_at_home_grow_side_by_side_by_method(world):
    pilot = finished(world)
    settings = replace(PilotSettings.from_json(pilot.settings), methods=("simclr", "supervised"))
    found = PilotFound.from_json(pilot.found)
    grown = {0: {"features": {1: 0.5, 2: 3.0}}, 1: {}}
    lines = [
        replace(one, line=replace(one.line, method=method), grown=grown.get(one.line.proposal, {}))
        for method in settings.methods
        for one in found.lines
    ]
    made = summaries(settings, replace(found, lines=tuple(lines)))
    auc, marks = growth_charts(made)
    assert (auc["id"], marks["id"]) == ("auc", "grown")
    assert ["Strong patch, SimCLR, features", "2", "3.000"] in marks["rows"]
    by_method = {one["name"]: one for one in marks["figure"]["data"]}
    first, second = (by_method[f"Strong patch, {title}, features"] for title in ("SimCLR", "supervised classifier"))
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    assert first["x"] == [1, 2]


def test_there_is_no_chart_of_what_was_not_asked(world):
    pilot = finished(world)
    settings, found = PilotSettings.from_json(pilot.settings), PilotFound.from_json(pilot.found)
    struck = tuple(one for one in found.lines if one.line.proposal == 0)
    assert growth_charts(summaries(settings, replace(found, lines=struck))) == []


def test_a_legend_names_trainings_once_and_gives_way_where_there_are_many(world):
    pilot = finished(world)
    settings = PilotSettings.from_json(pilot.settings)
    chart = curves_chart(settings, pilot.curves)
    named = [one["name"] for one in chart["figure"]["data"] if one.get("showlegend", True)]
    assert len(named) == len(set(named)) == len(pilot.curves)
    assert chart["figure"]["layout"]["showlegend"] is (len(pilot.curves) <= len(COLOURS))
    many = replace(settings, runs=9)
    assert not curves_chart(many, {line.name: [{"epoch": 1, "loss": 1.0}] for line in many.lines()})["figure"][
        "layout"
    ]["showlegend"]
