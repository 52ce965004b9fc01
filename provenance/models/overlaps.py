from django.db import models

from provenance.models.datasets import Version

MANY = 100  # contents in common that make two versions the same images, however much there is beside them


class OverlapQuerySet(models.QuerySet["Overlap"]):
    def of_same_images(self) -> "OverlapQuerySet":
        """Pairs that share half of the contents of the smaller version, or `MANY`: a share alone can be padded."""
        half = models.Q(twice__gte=models.F("smaller"))
        return self.annotate(twice=models.F("shared") * 2).filter(half | models.Q(shared__gte=MANY))


class Overlap(models.Model):
    """Two versions, of whatever organisations, that have contents in common, byte for byte."""

    one = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    shared = models.PositiveIntegerField()
    smaller = models.PositiveIntegerField()  # different contents of the version that has fewer

    objects = OverlapQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["one", "other"], name="overlap_once_per_pair")]

    def __str__(self) -> str:
        return f"{self.one} and {self.other}"
