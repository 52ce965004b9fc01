"""How large the images of a version are, by the facts of its manifest alone."""

from provenance.models import Version


def images_below(version: Version, edge: int) -> int:
    """How many images are known to have a short edge of fewer pixels; at least so many do.

    The facts count the commonest sizes and give the range of all, so rare sizes may be missing.
    """
    facts = version.facts
    if max(facts.get("widths", [0])) < edge or max(facts.get("heights", [0])) < edge:
        return version.file_count if facts.get("sizes") else 0
    return sum(number for width, height, number in facts.get("sizes", []) if min(width, height) < edge)
