"""The lines of the study's tables: what is trained on how many images, and when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from audits.pilots.methods import Method, SimClr
from audits.pilots.recipe import Augmentation, TrainingSettings

SIDE = 32
REFERENCE_SEEDS = 900_000  # and up; suspects count from 0, so no two trainings ever share a seed


@dataclass(frozen=True)
class Cell:
    """One line: of `published` + `at_home` images the key leaves one of every block out.

    references: each trained on as many other images. looked_at: epochs after which the test is made.
    """

    name: str
    published: int
    at_home: int
    encoder: str
    epochs: int
    looked_at: tuple[int, ...]
    method: Method = field(default_factory=SimClr)
    references: int = 1
    batch_size: int = 250
    learning_rate: float = 2e-3

    @property
    def pool(self) -> int:
        """Images that the key chooses among."""
        return self.published + self.at_home

    @property
    def block_size(self) -> int:
        size, rest = divmod(self.pool, self.at_home)
        if rest:
            raise ValueError(f"{self.name}: {self.pool} images do not make {self.at_home} equal blocks.")
        return size

    def settings(self, seed: int) -> TrainingSettings:
        return TrainingSettings(
            seed=seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            method=self.method,
            encoder=self.encoder,
            side=SIDE,
            augmentation=Augmentation(smallest_crop=0.2),
        )


CELLS = {
    cell.name: cell
    for cell in (
        # Smaller than any line of the method's section 9: for machines with minutes to spare.
        Cell("200-100-w8", 200, 100, "small_resnet:8", 200, (25, 50, 100, 150, 200), batch_size=50),
        Cell("500-250-w16", 500, 250, "small_resnet:16", 100, (25, 50, 75, 100)),
        Cell("1000-500-w16", 1_000, 500, "small_resnet:16", 200, (25, 50, 100, 150, 200)),
        # The lines of the method's section 9.
        Cell("1000-500-w32", 1_000, 500, "small_resnet:32", 200, (25, 50, 100, 150, 200)),
        Cell("10000-2000-w16", 10_000, 2_000, "small_resnet:16", 60, (15, 30, 60)),
    )
}
