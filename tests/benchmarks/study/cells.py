"""The lines of the study's tables: what is trained on how many images, and when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from audits.pilots.methods import Byol, Clip, Method, SimClr, SimSiam, Supervised
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, Augmentation, TrainingSettings

SIDE = 32
REFERENCE_SEEDS = 900_000  # and up; suspects count from 0, so no two trainings ever share a seed


@dataclass(frozen=True)
class Cell:
    """One line: of `published` + `at_home` images the key leaves one of every block out.

    references: each trained on as many other images; whole: on all that the key chooses among. looked_at: epochs after
    which the test is made. tuned: every training but the base begins with it; the base sees other images for so many
    epochs, and is a reference as well. versions: in decibels, every image comes in two faint versions between which the
    key chooses; the one it leaves out is what "stays home", so published == at_home. alternatives: of a block, where
    the key does not use them all; else as many as use all images.
    """

    name: str
    published: int
    at_home: int
    encoder: str
    epochs: int
    looked_at: tuple[int, ...]
    method: Method = field(default_factory=SimClr)
    references: int = 1
    whole: int = 0
    batch_size: int = 250
    learning_rate: float = 2e-3
    side: int = SIDE
    tuned: int = 0
    versions: float | None = None
    alternatives: int = 0

    @property
    def pool(self) -> int:
        """Images, or versions of images, that the key chooses among."""
        return self.published + self.at_home

    @property
    def pictures(self) -> int:
        """Pictures that the pool is made of."""
        return self.published if self.versions else self.pool

    @property
    def block_size(self) -> int:
        if self.alternatives:
            return self.alternatives
        size, rest = divmod(self.pool, self.at_home)
        if rest:
            raise ValueError(f"{self.name}: {self.pool} images do not make {self.at_home} equal blocks.")
        return size

    def settings(self, seed: int, epochs: int, precision: Precision) -> TrainingSettings:
        return TrainingSettings(
            seed=seed,
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            method=self.method,
            encoder=self.encoder,
            side=self.side,
            augmentation=Augmentation(smallest_crop=0.2),
            threads=precision.threads,
            bfloat16=precision.bfloat16,
        )


@dataclass(frozen=True)
class Precision:
    """How a machine trains: threads of the linear algebra, and bfloat16 where its processor has it."""

    threads: int
    bfloat16: bool


CLIP = {"encoder": TINY_CLIP_NAME, "side": TINY_CLIP["vision_cfg"]["image_size"], "method": Clip()}
LARGE = (10_000, 2_000, "small_resnet:16", 60, (15, 30, 60))
SMALL = (1_000, 500, "small_resnet:32", 200, (25, 50, 100, 150, 200))
CELLS = {
    cell.name: cell
    for cell in (
        # Smaller than any line of the method's section 9: for machines with minutes to spare.
        Cell("200-100-w8", 200, 100, "small_resnet:8", 200, (25, 50, 100, 150, 200), batch_size=50),
        Cell("500-250-w16", 500, 250, "small_resnet:16", 100, (25, 50, 75, 100)),
        Cell("1000-500-w16", 1_000, 500, "small_resnet:16", 200, (25, 50, 100, 150, 200)),
        # The lines of the method's section 9, with the references that it tried beside each other.
        Cell("1000-500-w32", *SMALL, references=2, whole=1),
        Cell("10000-2000-w16", *LARGE, references=2, whole=1),
        # The share and length that the goals of power speak of: one of twenty stays home.
        Cell("9500-500-w16", 9_500, 500, "small_resnet:16", 100, (25, 50, 75, 100), references=2, alternatives=4),
        Cell("clip-10000-2000", 10_000, 2_000, epochs=30, looked_at=(5, 10, 20, 30), **CLIP),
        Cell("clip-2000-500", 2_000, 500, epochs=30, looked_at=(5, 10, 20, 30), **CLIP),
        Cell("tuned-2400-600-w16", 2_400, 600, "small_resnet:16", 40, (3, 10, 20, 40), batch_size=240, tuned=60),
        # Other ways of learning, at the settings of the second line.
        Cell("byol-1000-500-w32", *SMALL, method=Byol()),
        Cell("simsiam-1000-500-w32", *SMALL, method=SimSiam()),
        Cell("supervised-1000-500-w32", *SMALL, method=Supervised()),
        # The sister: two versions of every image.
        *(Cell(f"versions-{decibels}dB", 10_000, 10_000, *LARGE[2:], versions=decibels) for decibels in (34, 38, 42)),
        *(
            Cell(f"versions-{decibels}dB-1000", 1_000, 1_000, "small_resnet:16", *SMALL[3:], versions=decibels)
            for decibels in (34, 38, 42)
        ),
    )
}
