"""How a small p among controls reads: beside the number of controls and of small ones that chance gives."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.wording import counted

SMALL = 0.05


def is_small(p: float) -> bool:
    return p <= SMALL


def small_ones(p_values: Sequence[float], alpha: float) -> str:
    """What to make of these controls' p-values, as sentences. The mean of what chance gives needs no independence."""
    total, found = len(p_values), sum(map(is_small, p_values))
    has = "has" if found == 1 else "have"
    said = (
        f"{found or 'None'} of {counted(total, 'control')} {has} a p of {SMALL:g} or less. Where nothing reacts to "
        f"the key, chance alone gives up to {SMALL * total:.2g} such on average"
    )
    if not found:
        return f"{said}."
    return (
        f"{said}, and they come together, for levels and tails rest on the same answers. By itself a small one is no "
        f"fault: a wrong key counts as found at alpha ({alpha:g}) or less, a reference as one that reacts at its share "
        "of alpha; where either happens, it is said."
    )
