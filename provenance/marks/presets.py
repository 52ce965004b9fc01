"""Ready-made strengths of a mark, from faint to plain to see."""

from dataclasses import dataclass
from typing import Any

from provenance.marks.registry import get_family
from provenance.marks.settings import MarkSettings

# Mean PSNR in dB over those of 100 images of CIFAR-10, and of 100 photographs of some 500 x 375 px, that can carry the
# mark, discreet to strong; None where none can: python -m tests.benchmarks.preset_psnr
_PSNR: dict[tuple[str, str], dict[str, tuple[float | None, float]]] = {
    ("patch", "associated"): {"discreet": (28.6, 29.6), "balanced": (22.8, 23.6), "strong": (18.7, 19.2)},
    ("patch", "plain"): {"discreet": (29.1, 31.5), "balanced": (24.1, 25.5), "strong": (19.9, 21.1)},
    ("blend", "associated"): {"discreet": (39.1, 39.6), "balanced": (33.6, 33.9), "strong": (27.8, 28.2)},
    ("blend", "plain"): {"discreet": (40.6, 44.8), "balanced": (36.9, 39.9), "strong": (31.8, 34.2)},
    ("spectral", "associated"): {"discreet": (44.4, 45.9), "balanced": (36.8, 40.6), "strong": (32.9, 34.9)},
    ("spectral", "plain"): {"discreet": (None, 45.2), "balanced": (35.1, 40.1), "strong": (31.9, 34.5)},
    ("warp", "associated"): {"discreet": (25.8, 17.3), "balanced": (20.9, 15.5), "strong": (17.6, 13.8)},
    ("warp", "plain"): {"discreet": (29.0, 19.7), "balanced": (26.5, 17.6), "strong": (21.7, 15.7)},
}

# Per cent of these small JPEG files that can carry a mark, discreet to strong; of the photographs it is 98 and more.
_CARRY_IN_SMALL_JPEG: dict[tuple[str, str], tuple[int, int, int]] = {
    ("patch", "associated"): (99, 91, 69),
    ("patch", "plain"): (90, 85, 37),
    ("blend", "associated"): (93, 100, 100),
    ("blend", "plain"): (97, 71, 100),
    ("spectral", "associated"): (15, 76, 76),
    ("spectral", "plain"): (0, 88, 93),
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
    """What small JPEG files can carry and what JPEG takes of a mark in them; nothing where it is no matter."""
    way, words = (family, association), ""
    if way in _CARRY_IN_SMALL_JPEG:
        first, second, third = _CARRY_IN_SMALL_JPEG[way]
        words += (
            f" Of JPEG files of 32 pixels {first}, {second} and {third} % can carry this mark, discreet to strong; "
            "others take the places of those that cannot."
        )
    if way in _LEFT_IN_SMALL_JPEG:
        low, high = _LEFT_IN_SMALL_JPEG[way]
        words += (
            f" Saving images of 32 pixels anew as JPEG (quality 75) leaves {low} to {high} % of this mark, by "
            "strength. Associated waves of low frequency (blend) keep nearly all."
        )
    return f"Most images of this version have an edge below {SMALL_EDGE} pixels.{words}" if words else ""


UNTOUCHED = "untouched"  # no mark is struck: some images stay home, and none is changed
UNTOUCHED_SAYS = (
    "In every block of images that are alike the key picks one that stays home; no pixel of any is changed. An audit "
    "asks whether a model knows the published ones better. It takes long training or fine-tuning, hundreds of images "
    "at home and reference encoders; whoever passes over the data once or twice leaves no trace."
)


VERSIONS_SAYS = (
    "Each of these pictures comes in one of two faint versions, slow waves of brightness added or taken away, and the "
    "key picks which; the other stays home, and no picture is left out. An audit asks whether a model knows the "
    "published ones better. In our trials it took some 1,000 pictures at 34 dB, a model that saw each of them 150 "
    "times or more, and a reference encoder."
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
        measured = [psnr for psnr in _PSNR[family, association][self.name] if psnr is not None]
        low, high = round(min(measured)), round(max(measured))
        words = f"about {sum(measured) / len(measured):.0f} dB PSNR" if high - low <= 1 else f"{low} to {high} dB PSNR"
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
