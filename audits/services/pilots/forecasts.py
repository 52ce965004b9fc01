"""What the newest pilot of a version says about settings: on the forms of releases and plans, and in reports."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from audits.models import Pilot
from audits.pilots.methods import METHODS
from audits.pilots.pilot.advice import BASIS_WORDS, power_words
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.pilot.summary import Summary, summaries
from audits.services.pilots.shown import found_of, settings_of
from provenance.marks import MarkSets, MarkSettings, VersionsSettings
from provenance.marks.sets import AnySettings
from provenance.models import Release, Version
from provenance.services.release_forecasts import tells_of_releases
from provenance.wording import counted, p_value

MOST_PILOTS = 10  # the newest ones of a version that are looked through
NO_PILOT = "No pilot was made with these settings, so nobody measured how often an audit would find them."
NO_PILOT_OF_MARKS = (
    "No pilot was made with these marks, so nobody measured how often an audit would find them by themselves."
)
NO_PILOT_OF_HOME = (
    "No pilot was made with these images at home, so nobody measured how often an audit would find them by themselves."
)
NO_PILOT_OF_VERSIONS = (
    "Pilots do not try two versions of a picture, so nobody measured how often an audit would find them."
)
WIDENS = (
    "Small models at hand are not the suspect: a larger one, trained for longer or otherwise, may show more or less."
)

NOT_MADE = (NO_PILOT, NO_PILOT_OF_MARKS, NO_PILOT_OF_HOME, NO_PILOT_OF_VERSIONS, WIDENS)


def forecast(version: Version, settings: AnySettings, before: datetime | None = None) -> list[str]:
    """Sentences about one mark set: how often a pilot's audits found it. One sentence where there was no pilot.

    before: pilots that ended later do not count, for nobody could have known them.
    """
    if isinstance(settings, VersionsSettings):
        return [NO_PILOT_OF_VERSIONS]
    pilots = Pilot.objects.finished().filter(version=version)
    for pilot in (pilots.filter(finished_at__lt=before) if before else pilots)[:MOST_PILOTS]:
        chosen, found = settings_of(pilot), found_of(pilot)
        if found is None or not any(_alike(proposal.settings, settings) for proposal in chosen.proposals):
            continue
        if made := [one for one in summaries(chosen, found) if _alike(one.proposal.settings, settings)]:
            return [*_told(chosen, pilot, made), WIDENS]
    return [NO_PILOT]


@tells_of_releases
def of_release(version: Version, marks: MarkSets) -> list[str]:
    """About all mark sets of a release, no sentence twice."""
    return _once([(one, forecast(version, one)) for one in marks])


def of_plan(releases: Iterable[Release], before: datetime | None = None) -> list[str]:
    """About everything that a plan tests; before: as in `forecast`, the time of its lock."""
    return _once(
        [(one, forecast(release.version, one, before)) for release in releases for one in release.key.mark_sets]
    )


def _once(told: Sequence[tuple[AnySettings, list[str]]]) -> list[str]:
    """No sentence twice; where a pilot was made of some of the mark sets only, of which kind the others are."""
    if not any(was_made(sentences) for _, sentences in told):
        return list(dict.fromkeys(sentence for _, sentences in told for sentence in sentences))
    found = [_none_of(one) if sentence == NO_PILOT else sentence for one, sentences in told for sentence in sentences]
    return sorted(dict.fromkeys(found), key=lambda sentence: sentence == WIDENS)


def _none_of(one: AnySettings) -> str:
    return NO_PILOT_OF_MARKS if isinstance(one, MarkSettings) else NO_PILOT_OF_HOME


def was_made(sentences: Iterable[str]) -> bool:
    """Whether there is a pilot behind them."""
    return any(sentence not in NOT_MADE for sentence in sentences)


def _told(settings: PilotSettings, pilot: Pilot, made: Iterable[Summary]) -> Iterable[str]:
    day = f"{pilot.finished_at:%Y-%m-%d}" if pilot.finished_at else "an unknown day"
    for one in made:
        for basis, power in one.power.items():
            yield (
                f"Pilot of {day}, {METHODS[one.method].title}, {counted(settings.epochs, 'epoch')}, "
                f"{BASIS_WORDS[basis]}: “{one.proposal.title}” was found {power_words(power, settings.alpha)}, "
                f"median p {p_value(power.median_p)}."
            )


def _alike(one: AnySettings, other: AnySettings) -> bool:
    """Whether they mark, or leave home, the same in the same way; what a release adds to settings is left aside."""
    return _plain(one) == _plain(other)


def _plain(settings: AnySettings) -> AnySettings:
    if isinstance(settings, MarkSettings):
        return settings.replace(spares="", copies="", near_duplicates="")
    return settings
