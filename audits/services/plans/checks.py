"""Plans that contradict themselves are refused, with a sentence that says what to change."""

from collections.abc import Iterator
from itertools import islice

from audits.models import Plan, RegisteredModel
from audits.planning.choices import MOST_DECOYS_PLANNED, refusals
from audits.planning.claims import same_recipient
from audits.planning.views import KEPT_SHARE
from audits.services.models.identity import names_of
from audits.services.plans.captions import check_captions
from audits.services.plans.keyed_choices import check_blocks, check_parts, most_references_of_choice
from audits.services.plans.reference_checks import check_rigged_references_are_told
from audits.services.plans.values import PlanError, PlanValues, choice_of, levels_of, sets_of
from audits.statistics import restricted
from audits.statistics.ranktest import SCORES, fewest_decoys
from provenance.intake.errors import ManifestError
from provenance.intake.manifest import Manifest, content_of
from provenance.marks import MarkSettings
from provenance.models import Release, Version
from provenance.wording import count

LEAST_HELD_OUT = 10
HELD_OUT_SAMPLE = 1_000


def check(values: PlanValues) -> None:
    """Raises PlanError with the first thing that contradicts itself; cheap enough to ask at every keystroke."""
    _check_releases(values)
    if values.has_choice:
        bounds = KEPT_SHARE.bounds
        if bounds and not bounds.hold(values.kept_share):  # before anything is counted by it
            raise PlanError(bounds.refusal)
        check_parts(values)
    _check_models(values)
    if values.has_plain:
        _check_decoys(values)
    refused = next(_refusals(values), None)
    if refused is not None:
        raise PlanError(refused)
    check_captions(values)
    check_rigged_references_are_told(values)
    marked = max(release.marked_count for release in values.releases)
    if sets_of(values.releases[0]) and values.probes > values.version.file_count - marked:
        raise PlanError(f"Only {count(values.version.file_count - marked)} images are unmarked; use fewer probes.")
    _check_held_out(values)


def _refusals(values: PlanValues) -> Iterator[str]:
    return refusals(values, plain=values.has_plain, associated=values.has_associated, keyed_choice=values.has_choice)


def _check_releases(values: PlanValues) -> None:
    if not values.releases:
        raise PlanError("Choose at least one release to test for.")
    for release in values.releases:
        if release.version_id != values.version.pk:
            raise PlanError(f"The release for {release.recipient} was made from another version.")
        if release.state != Release.State.READY:
            raise PlanError(f"The release for {release.recipient} is not ready yet.")
        check_blocks(release)
        if any(not settings.is_plain and len(settings.groups) < 2 for settings in sets_of(release)):
            raise PlanError(f"The release for {release.recipient} has no groups whose assignment could be tested.")
    first = values.releases[0].recipient
    if values.recipient_at_issue and not all(same_recipient(one.recipient, first) for one in values.releases):
        raise PlanError(
            "Only one recipient can be the one at issue, and these releases are for several. Choose the releases of "
            "one, or leave “The recipient is at issue” empty, so that every copy counts."
        )
    if len({_ways(release) for release in values.releases}) > 1:
        raise PlanError(
            "Plain marks, associated marks, images at home and two versions of a picture are tested in different "
            "ways, and these releases bear different kinds; make a plan for each kind."
        )


def _ways(release: Release) -> frozenset[str]:
    struck = {"plain" if settings.is_plain else "associated" for settings in sets_of(release)}
    choice = choice_of(release)
    return frozenset(struck | ({choice.to_dict()["kind"]} if choice else set()))


def _check_decoys(values: PlanValues) -> None:
    least = fewest_decoys(len(SCORES), len(values.references))
    if not least <= values.decoys <= MOST_DECOYS_PLANNED:
        raise PlanError(f"Choose between {least} and {count(MOST_DECOYS_PLANNED)} decoy keys.")
    if not 0 <= values.exceedances <= values.decoys:
        raise PlanError("The stop after so many exceedances is 0 for never, and at most the number of decoys.")


def _check_models(values: PlanValues) -> None:
    suspect = values.suspect
    if suspect.role != RegisteredModel.ModelRole.SUSPECT:
        raise PlanError(f"{suspect.name} is registered as a reference; choose a suspect.")
    for level in values.primary_levels:
        if level not in levels_of(suspect):
            raise PlanError(f"{suspect.name} does not return {Plan.Level(level).label}; choose another level.")
    known = names_of((suspect, *values.references))
    seen = {known[suspect.pk]}
    for reference in values.references:
        if reference.role != RegisteredModel.ModelRole.REFERENCE:
            raise PlanError(f"{reference.name} is not declared as a reference.")
        if reference.organisation_id != suspect.organisation_id:
            raise PlanError(f"{reference.name} belongs to another organisation than the suspect.")
        if known[reference.pk] in seen:
            raise PlanError(
                f"{reference.name} has the same weights as another model of this plan, or gives the same answers."
            )
        seen.add(known[reference.pk])
        for level in values.primary_levels:
            if level not in levels_of(reference):
                raise PlanError(f"{reference.name} does not return {Plan.Level(level).label}, so it cannot serve.")
    most = min(_most_references(values))
    if len(values.references) > most:
        raise PlanError(f"At most {count(most)} references can be used with these releases; choose fewer.")
    if values.decide_with_references and not values.references:
        raise PlanError("The p with references can count only where there are references; choose some.")


def _most_references(values: PlanValues) -> Iterator[int]:
    for release in values.releases:
        yield from (most_references(settings, values.decoys) for settings in sets_of(release))
        if choice_of(release):
            yield most_references_of_choice(values, release)


def most_references(settings: MarkSettings, decoys: int) -> int:
    """How many references a test of this mark set can take, so that they leave something to test."""
    if settings.is_plain:
        return decoys - 1
    restriction = settings.restriction
    return (len(settings.groups) - 1) ** 2 - 1 if restriction is None else restricted.most_references(restriction)


def _check_held_out(values: PlanValues) -> None:
    held_out = values.held_out
    if held_out is None:
        return
    if held_out.state != Version.State.READY:
        raise PlanError(f"{held_out} is not ready yet, so it cannot serve as held-out images.")
    if held_out.pk == values.version.pk or held_out.root == values.version.root:
        raise PlanError(
            "The held-out images are those of the audited version; choose a version whose images were never released."
        )
    if held_out.file_count < LEAST_HELD_OUT:
        raise PlanError(f"{held_out} has fewer than {LEAST_HELD_OUT} images; choose a larger one, or none.")


def check_apart(held_out: Version, audited: Version) -> None:
    """Raises PlanError where images of the held-out version are in the audited one too, byte for byte.

    Up to 1,000 images, spread evenly over the held-out version, are looked for by their SHA-256, which finds an
    overlap of one image in a hundred almost surely. It cannot find images that were encoded anew. One pass over the
    audited manifest, so it is asked when a plan is saved or locked, not while somebody types.
    """
    try:
        with Manifest(held_out.manifest_folder) as one, Manifest(audited.manifest_folder) as other:
            step = max(1, len(one) // HELD_OUT_SAMPLE)
            drawn = {content_of(one.line(index)) for index in islice(range(0, len(one), step), HELD_OUT_SAMPLE)}
            shared = drawn.intersection(content_of(line) for line in other.lines())
    except ManifestError as error:
        raise PlanError(
            "The held-out images cannot be compared with the audited ones: a manifest is missing."
        ) from error
    if shared:
        raise PlanError(
            f"{held_out} shares images with {audited} ({count(len(shared))} of {count(len(drawn))} that were "
            "compared). Held-out images were never in anybody's hands; choose a version without images that "
            "were released."
        )
