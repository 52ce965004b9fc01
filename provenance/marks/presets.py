"""Ready-made strengths of a mark, from faint to plain to see."""

from dataclasses import dataclass
from typing import Any

from provenance.marks.registry import get_family
from provenance.marks.settings import MarkSettings

# Mean PSNR in dB over 100 images of CIFAR-10 and 100 photographs of some 500 x 375 px, discreet to strong:
# python -m tests.benchmarks.preset_psnr
_PSNR: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
    ("patch", "associated"): {"discreet": (28.7, 29.6), "balanced": (22.8, 23.6), "strong": (18.8, 19.1)},
    ("patch", "plain"): {"discreet": (30.4, 31.5), "balanced": (24.5, 25.5), "strong": (20.4, 21.0)},
    ("blend", "associated"): {"discreet": (39.1, 39.5), "balanced": (33.7, 33.9), "strong": (27.9, 28.2)},
    ("blend", "plain"): {"discreet": (42.2, 44.7), "balanced": (38.5, 39.8), "strong": (33.8, 34.2)},
    ("spectral", "associated"): {"discreet": (42.4, 45.8), "balanced": (38.5, 40.6), "strong": (33.7, 34.8)},
    ("spectral", "plain"): {"discreet": (42.0, 45.1), "balanced": (37.9, 40.1), "strong": (33.4, 34.4)},
    ("warp", "associated"): {"discreet": (25.8, 17.6), "balanced": (20.9, 15.7), "strong": (17.5, 13.9)},
    ("warp", "plain"): {"discreet": (32.4, 20.2), "balanced": (26.4, 17.9), "strong": (21.6, 15.9)},
}

# Per cent of a mark that JPEG at quality 75 leaves in images of 32 pixels, lowest and highest median of the presets,
# where it takes much. Other marks keep 76 and more there, all marks 72 and more at 64 pixels and 93 and more in
# photographs: python -m tests.benchmarks.jpeg_survival
_LEFT_IN_SMALL_JPEG: dict[tuple[str, str], tuple[int, int]] = {
    ("patch", "plain"): (47, 63),
    ("blend", "plain"): (20, 49),
    ("spectral", "associated"): (0, 62),
    ("spectral", "plain"): (0, 26),
}
SMALL_EDGE = 64  # pixels; images with a shorter edge count as small


def small_jpeg_words(family: str, association: str) -> str:
    """What JPEG takes of a mark in small images, in a sentence; nothing where it takes little."""
    if (family, association) not in _LEFT_IN_SMALL_JPEG:
        return ""
    low, high = _LEFT_IN_SMALL_JPEG[family, association]
    return (
        f"Most images of this version have an edge below {SMALL_EDGE} pixels. Saving images of 32 pixels anew as JPEG "
        f"(quality 75) leaves {low} to {high} % of this mark, by strength. Associated waves of low frequency (blend) "
        "keep nearly all."
    )


@dataclass(frozen=True)
class Preset:
    """Ready-made strength: everything but the groups."""

    name: str
    title: str
    patch: str  # what its patch looks like
    evidence: str  # which models of our trials showed a patch in associated marks; other marks left nothing sure
    share: float
    side: float
    opacity: float
    amplitude: float
    bend: float

    def settings(
        self, groups: tuple[str, ...], group_by: str = "class", family: str = "patch", **changes: Any
    ) -> MarkSettings:
        """Settings of this strength; of side, opacity, amplitude and bend only those that the family uses."""
        used = get_family(family).options
        strength = {name: getattr(self, name) for name in ("side", "opacity", "amplitude", "bend") if name in used}
        values = {"share": self.share, **strength, **changes}
        return MarkSettings(groups=groups, group_by=group_by, family=family, **values)

    def describe(self, family: str, association: str = "associated") -> str:
        """What this strength costs and brings, in a sentence: how it looks, on how many images, what it showed."""
        looks = {
            "patch": self.patch,
            "blend": f"Soft waves of up to {self.amplitude:g} grey levels over the whole image",
            "spectral": f"Fine waves of colour, up to {self.amplitude:g} grey levels, over the whole image",
            "warp": f"Pixels moved by up to {100 * self.bend:g} % of the short edge",
        }
        psnr = f" ({words})" if (words := self.psnr_words(family, association)) else ""
        sentence = f"{looks.get(family, get_family(family).title)}{psnr} on {100 * self.share:g} % of the images"
        return f"{sentence}; {self.evidence}." if (family, association) == ("patch", "associated") else f"{sentence}."

    def psnr_words(self, family: str, association: str) -> str:
        """The mean PSNR that was measured on small and on large images; nothing for a family that never was."""
        if (family, association) not in _PSNR:
            return ""
        measured = _PSNR[family, association][self.name]
        low, high = (round(psnr) for psnr in sorted(measured))
        words = f"about {sum(measured) / 2:.0f} dB PSNR" if high - low <= 1 else f"{low} to {high} dB PSNR"
        return f"{words}, which counts every moved edge" if family == "warp" else words


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "discreet",
            "Discreet",
            "A faint patch",
            "found in one small model trained with captions and 200 marked images per group, in none with 100 or fewer",
            share=0.2,
            side=0.25,
            opacity=0.3,
            amplitude=4.0,
            bend=0.02,
        ),
        Preset(
            "balanced",
            "Balanced",
            "A half-transparent patch",
            "found in one small model trained with captions and 100 marked images per group, the only one we tried",
            share=0.1,
            side=0.25,
            opacity=0.6,
            amplitude=8.0,
            bend=0.04,
        ),
        Preset(
            "strong",
            "Strong",
            "An opaque patch that everybody can see",
            "found in all our small models trained with captions and 50 marked images per group or more",
            share=0.1,
            side=0.25,
            opacity=1.0,
            amplitude=16.0,
            bend=0.08,
        ),
    )
}
