"""The report's terms, and where the method says more about them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from audits.report.definitions import DEFINITIONS, SECTIONS, definitions
from tests.audits.report.samples import facts, with_levels, with_sets

METHOD = Path(__file__).resolve().parents[3] / "docs" / "method.md"


def test_every_cited_section_stands_in_the_method():
    numbers = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", METHOD.read_text(), flags=re.MULTILINE))
    assert set(SECTIONS.values()) <= numbers


@pytest.mark.parametrize(
    "made", [facts(), with_levels(facts()), with_sets(facts())], ids=["one level", "levels", "sets"]
)
def test_terms_are_cited_once_each_and_the_method_is_named_first(made):
    terms = definitions(made)
    assert terms[0][0] == "Method"
    assert len({term for term, _ in terms}) == len(terms)
    for term, text in terms:
        assert (f"(Method, {SECTIONS[term]})" in text) if term in SECTIONS else "(Method" not in text


def test_every_citation_belongs_to_a_term():
    known = {term for made in (facts(), with_levels(facts()), with_sets(facts())) for term, _ in definitions(made)}
    assert set(SECTIONS) - known <= {
        *("Plain mark", "Decoy key", "Rank test"),
        *("Keyed choice", "View", "Test of the choice", "Density to the own caption", "Two versions of a picture"),
    }
    assert {term for term, _ in DEFINITIONS} >= {"p", "Alpha"}


def test_a_copy_without_marks_is_not_called_marked():
    made = facts()
    terms = dict(definitions(replace(made, plan=replace(made.plan, test="choice", views=4))))
    assert terms["Release, recipient"].startswith("One copy of a version")
    assert "number of choices" in terms["Smallest reachable p"]
    both = dict(definitions(replace(made, plan=replace(made.plan, views=4))))
    assert "assignments, or for images that stayed home of choices" in both["p"]
    assert both["Release, recipient"].startswith("One marked copy")
