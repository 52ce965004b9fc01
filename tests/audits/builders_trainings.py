"""A small version and its release on disk, with real manifests, for trainings."""

from django.utils import timezone

from audits.scenes import procedural
from provenance.intake.labels import Labels
from provenance.intake.take_in import IntakeOptions, take_in
from provenance.models import Dataset, Version
from tests.world import World

CAPTIONED = Labels("csv", "captions.csv")


def scenes_version(world: World, count: int = 40, name: str = "Scenes", labels: Labels = CAPTIONED) -> Version:
    """A ready version of procedural scenes, with captions unless others are named, read in by the intake itself."""
    dataset = Dataset.objects.create(
        organisation=world.owner, name=name, modality=Dataset.Modality.PAIRS, created_by=world.rights_holder
    )
    version = Version.objects.create(
        dataset=dataset, number=1, source="upload", source_name="scenes.zip", created_by=world.rights_holder
    )
    source = version.folder.parent / f"source-{version.pk}"
    procedural.write_scenes(source, source / "captions.csv", 1, count, 48)
    taken = take_in(source, version.folder, IntakeOptions(labels=labels, processes=1))
    version.files_folder.parent.mkdir(parents=True, exist_ok=True)
    version.files_folder.symlink_to(taken.files)
    version.state, version.ready_at = Version.State.READY, timezone.now()
    version.root, version.file_count, version.facts = taken.facts["root"], taken.facts["files"], taken.facts
    version.save()
    return version
