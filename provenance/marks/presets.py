"""Ready-made strengths of a mark, from faint to plain to see."""

from dataclasses import dataclass
from typing import Any

from provenance.marks.registry import get_family
from provenance.marks.settings import MarkSettings


@dataclass(frozen=True)
class Preset:
    """Ready-made strength: everything but the groups."""

    name: str
    title: str
    description: str  # of a patch in associated marks
    share: float
    side: float
    opacity: float
    amplitude: float
    bend: float
    images_per_group: int  # plan for this many marked images in each group

    def settings(
        self, groups: tuple[str, ...], group_by: str = "class", family: str = "patch", **changes: Any
    ) -> MarkSettings:
        """Settings of this strength; of side, opacity, amplitude and bend only those that the family uses."""
        used = get_family(family).options
        strength = {name: getattr(self, name) for name in ("side", "opacity", "amplitude", "bend") if name in used}
        values = {"share": self.share, **strength, **changes}
        return MarkSettings(groups=groups, group_by=group_by, family=family, **values)

    def describe(self, family: str) -> str:
        """What this strength means for a family, in a sentence."""
        if family == "patch":
            return self.description
        if "amplitude" in get_family(family).options:
            return f"Up to {self.amplitude:g} grey levels on {self.share:.0%} of the images."
        return f"Pixels move by up to {self.bend:.0%} of the short edge on {self.share:.0%} of the images."


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "discreet",
            "Discreet",
            "A faint patch (about 29 dB PSNR) on a fifth of the images; "
            "needs some 200 marked images per group, and the evidence is the weakest of the three.",
            share=0.2,
            side=0.25,
            opacity=0.3,
            amplitude=4.0,
            bend=0.02,
            images_per_group=200,
        ),
        Preset(
            "balanced",
            "Balanced",
            "A half-transparent patch (about 23 dB PSNR) on a tenth of the images; "
            "strong evidence from some 100 marked images per group.",
            share=0.1,
            side=0.25,
            opacity=0.6,
            amplitude=8.0,
            bend=0.04,
            images_per_group=100,
        ),
        Preset(
            "strong",
            "Strong",
            "An opaque patch that everybody can see (about 19 dB PSNR) on a tenth of the images; "
            "strong evidence from 50 marked images per group.",
            share=0.1,
            side=0.25,
            opacity=1.0,
            amplitude=16.0,
            bend=0.08,
            images_per_group=50,
        ),
    )
}
