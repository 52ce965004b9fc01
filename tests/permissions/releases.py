from provenance.marks import MarkSets, VersionsSettings
from provenance.models import Version
from provenance.services import datasets
from tests.permissions.access import OWNER_DATA, Access
from tests.provenance.builders_releases import marked_version, ordered_release, ready_release
from tests.provenance.builders_withheld import blocked, made, withheld
from tests.world import World

HOLDER = frozenset({"rights_holder"})
# An outsider is a rights-holder too, of their own organisation: their form offers none of ours.
HOLDERS = frozenset({"rights_holder", "outsider"})
EVERY_PERSON = frozenset({*OWNER_DATA, "administrator", "guest_auditor", "outsider"})


def granted_version(world: World, per_group: int = 8) -> Version:
    version = marked_version(world, per_group)
    datasets.grant(version.dataset, "gita", by=world.rights_holder)
    return version


def release_of(world: World) -> dict[str, object]:
    return {"pk": ordered_release(world, granted_version(world)).pk}


def ready_of(world: World) -> dict[str, object]:
    return {"pk": ready_release(world, granted_version(world)).pk}


def inspected_of(world: World) -> dict[str, object]:
    from provenance.models import Release

    where = ready_of(world)
    Release.objects.filter(pk=where["pk"]).update(inspection={"auc": 0.5})
    return where


def picture_of(world: World) -> dict[str, object]:
    from provenance.services.release_gallery import marked_page

    release = ready_release(world, granted_version(world))
    return {"pk": release.pk, "position": marked_page(release, 1)[0].position, "kind": "difference"}


def withheld_of(world: World) -> dict[str, object]:
    version = granted_version(world, per_group=24)
    return {"pk": made(world, version, MarkSets((withheld(blocked(world, version), 0.25),))).pk}


def versions_of(world: World) -> dict[str, object]:
    return {"pk": made(world, granted_version(world), MarkSets((VersionsSettings(),)), outlets="").pk}


def key_of(world: World) -> dict[str, object]:
    from provenance.services import keys

    return {"pk": keys.draw(marked_version(world, per_group=1), by=world.rights_holder).pk}


ACCESS = {
    "key_list": Access(EVERY_PERSON),
    "key_draw": Access(EVERY_PERSON, method="post"),
    "key_detail": Access(frozenset({"rights_holder", "legal"}), key_of),
    "key_drop": Access(HOLDER, key_of, method="post", data=lambda world: {"reason": "a trial"}),
    "release_list": Access(EVERY_PERSON),
    "release_new": Access(HOLDERS),
    "release_plan": Access(HOLDERS),
    "release_words": Access(HOLDERS),
    "release_presets": Access(HOLDERS, method="post"),
    "release_detail": Access(OWNER_DATA | {"guest_auditor"}, release_of),
    "release_inspect": Access(HOLDER, ready_of, method="post"),
    "release_inspection": Access(HOLDER, inspected_of),
    "release_gallery": Access(HOLDER, ready_of),
    "release_home": Access(HOLDER, withheld_of),
    "release_versions": Access(HOLDER, versions_of),
    "release_picture": Access(HOLDER, picture_of),
    "release_download": Access(HOLDER, ready_of),
}
