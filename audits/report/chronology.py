"""The order of events that the error rate rests on: commitment, beacon, release, plan, first query."""

from dataclasses import dataclass

from audits.report.facts import ReportFacts
from audits.report.wording import moment


@dataclass(frozen=True)
class Event:
    at: str
    what: str


@dataclass(frozen=True)
class OrderCheck:
    """One required order; `holds` is read from the times, never assumed."""

    sentence: str
    holds: bool


def events(facts: ReportFacts) -> list[Event]:
    """Every dated act of the facts, oldest first."""
    found = [Event(facts.dataset.registered_at, f"Version {facts.dataset.version} of the dataset was registered.")]
    for release in facts.releases:
        found += [
            Event(release.committed_at, f"The commitment of {release.label} was recorded."),
            Event(release.beacon_at, f"The beacon of {release.label} was recorded."),
            Event(release.embedded_at, f"{release.label} was completed for {release.recipient}."),
        ]
    found.append(Event(facts.suspect.registered_at, "The suspect was registered."))
    if facts.keys and moment(facts.keys.first_seen_at) < moment(facts.suspect.registered_at):
        found.append(Event(facts.keys.first_seen_at, "The suspect was first seen, under whatever name."))
    found += [Event(ref.declared_at, f"“{ref.name}” was declared a reference.") for ref in facts.references]
    found += [
        Event(facts.plan.locked_at, "The plan was locked."),
        Event(facts.run.started_at, "The audit asked the suspect its first question."),
        Event(facts.run.finished_at, "The audit ended."),
        Event(facts.issued_at, "This report was issued."),
    ]
    return sorted(found, key=lambda event: moment(event.at))


def order_checks(facts: ReportFacts) -> list[OrderCheck]:
    """Whether the recorded times stand in the order that the method demands."""

    def in_order(*times: str) -> bool:
        moments = [moment(text) for text in times]
        return moments == sorted(moments)

    seen = [
        OrderCheck(
            "Every commitment was recorded before the suspect was first seen.",
            all(in_order(r.committed_at, facts.keys.first_seen_at) for r in facts.releases),
        )
    ] if facts.keys else []  # fmt: skip
    return [
        *seen,
        OrderCheck(
            "Every commitment was recorded before its beacon, and the beacon before the release was made.",
            all(in_order(r.committed_at, r.beacon_at, r.embedded_at) for r in facts.releases),
        ),
        OrderCheck(
            "The plan was locked before the suspect was asked its first question.",
            in_order(facts.plan.locked_at, facts.run.started_at),
        ),
        OrderCheck(
            "Every reference was declared before the plan was locked.",
            all(in_order(ref.declared_at, facts.plan.locked_at) for ref in facts.references),
        ),
    ]
