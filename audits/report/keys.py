"""The keys of the same images as a report states them: what became of each, and which the suspect was asked about."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyFacts:
    """One key. Times are empty where it did not happen; released_to: empty where no copy bears it."""

    state: str
    drawn_at: str
    committed_at: str
    released_to: str
    released_at: str
    tested_at: str  # when this suspect was first asked about it
    late: bool  # committed to after the suspect was first seen
    tested_here: bool  # by this audit


@dataclass(frozen=True)
class OtherRun:
    """A run of the same suspect against other images of the same owner. end: its conclusion or how it stands, empty in
    earlier reports where another organisation made it."""

    queued_at: str
    end: str


@dataclass(frozen=True)
class KeysFacts:
    """Keys of the data's owner for the same images, at issue; and how copies counted when the plan was locked.

    first_seen_at: of the suspect, on this server; published_on: as declared, empty where nobody did; elsewhere:
    committed keys of other organisations; committed, untested: None in plans of versions that counted no copies.
    """

    first_seen_at: str
    published_on: str
    rows: tuple[KeyFacts, ...]
    elsewhere: int
    never_tested: int
    committed: int | None = None
    untested: int | None = None
    other_images: tuple[OtherRun, ...] = ()
    other_runs_elsewhere: int = 0  # of other organisations, which are not listed
    other_sets: int = 0  # of images of the same owner, against which all of these were
    models_not_compared: int = 0  # of the server, with the suspect and the images, when the plan was locked
    versions_not_compared: int = 0
    versions_given_up: int = 0  # of the owner and the auditor: their manifest is lost, so they count as the same images
