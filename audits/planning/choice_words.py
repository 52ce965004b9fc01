"""How pages, plans and reports speak of a keyed choice: of images that stayed home, or of two versions of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.marks.versions import VERSIONS
from provenance.marks.withheld import WITHHELD


@dataclass(frozen=True)
class ChoiceWords:
    """Parts of sentences, but for `chosen` and `beside`, which are whole ones. noun: what has a score of its own."""

    subject: str  # of a test, beside others
    way: str  # of a mark set, in tables
    on_form: str  # of a release that can be chosen
    noun: str
    a_noun: str
    each: str  # behind the number of blocks
    both: str  # what is compared
    told_apart: str
    views_of: str
    basis: str  # behind the number of blocks: what a p rests on
    chosen: str
    beside: str


_WITHHELD = ChoiceWords(
    subject="images at home",
    way="images that stayed home",
    on_form="some images at home",
    noun="image",
    a_noun="an image",
    each="",
    both="published images and those that stayed home",
    told_apart="published images from those at home",
    views_of="images that stayed home and others",
    basis="blocks, in each of which the key chose the image that stayed home",
    chosen="In every block the key chose by chance which image stayed home, so a model that never met this copy knows "
    "neither kind better.",
    beside="Which image of every block stayed home; it is tested by how well the model knows the others.",
)
_VERSIONS = ChoiceWords(
    subject="two versions of a picture",
    way="pictures in one of two versions",
    on_form="some images in one of two versions",
    noun="version",
    a_noun="a version",
    each=" of one picture each",
    both="published versions of pictures and those that stayed home",
    told_apart="published versions of pictures from those at home",
    views_of="both versions of every picture",
    basis="pictures, of each of which the key chose the version that stayed home",
    chosen="Of every picture the key chose by chance which of its two versions was published, so a model that never "
    "met this copy knows neither kind better.",
    beside="Which version of every picture stayed home; it is tested by how well the model knows the published one.",
)
WORDS = {WITHHELD: _WITHHELD, VERSIONS: _VERSIONS}
