"""Where a person stands in the journey from a dataset to a report, and what they can do next."""

from dataclasses import dataclass, replace
from typing import Literal

from audits.models import Audit, Plan, RegisteredModel, Report
from provenance.models import Dataset, Membership, Organisation, Release, Role, User, Version, WatermarkKey
from provenance.wording import count

StepState = Literal["done", "next", "later"]


@dataclass(frozen=True)
class Step:
    """One step of the journey. `page` and `verb` are set where this person may take it."""

    title: str
    sentence: str
    done: bool
    roles: frozenset[Role]
    page: str
    verb: str
    state: StepState = "later"
    mine: bool = False

    @property
    def waits_for(self) -> str:
        """Whose step it is, where it is not this person's."""
        return " or ".join(_WHO[role] for role in Role if role in self.roles)


_WHO = {
    Role.RIGHTS_HOLDER: "a rights-holder",
    Role.AUDITOR: "an auditor",
    Role.LEGAL: "legal staff",
    Role.ADMINISTRATOR: "an administrator",
}
OWNER = frozenset({Role.RIGHTS_HOLDER})
AUDITOR = frozenset({Role.AUDITOR})
LEGAL = frozenset({Role.LEGAL})


def journey(user: User) -> list[Step]:
    """The steps in order; the first open one that this person may take is `next`."""
    roles = {Role(role) for role in Membership.objects.filter(user=user).values_list("role", flat=True)}
    steps = _data_steps(user) if roles - {Role.ADMINISTRATOR} else _administrator_steps(user)
    marked, found = [], False
    for step in steps:
        mine = bool(step.roles & roles)
        state: StepState = "done" if step.done else "later"
        if mine and not step.done and not found:
            state, found = "next", True
        marked.append(replace(step, state=state, mine=mine))
    return marked


def _data_steps(user: User) -> list[Step]:
    versions = Version.objects.for_user(user).ready().count()
    datasets = Dataset.objects.for_user(user).count()
    releases = Release.objects.for_user(user).ready().count()
    models = RegisteredModel.objects.for_user(user)
    suspects, references = models.suspects().count(), models.references().count()
    plans = Plan.objects.for_user(user).filter(state=Plan.State.LOCKED).count()
    audits = Audit.objects.for_user(user).filter(state=Audit.State.DONE).count()
    reports = Report.objects.for_user(user).filter(state=Report.State.ISSUED).count()
    return [
        Step(
            "Register a dataset",
            _so_far(versions, "version", "ready to be marked")
            or (
                "Its files are being read."
                if datasets
                else "A manifest fixes every file by its hash, before anything else."
            ),
            versions > 0,
            OWNER,
            "dataset_list",
            "Register a dataset",
        ),
        _key_step(user, releases),
        Step(
            "Make a release",
            _so_far(releases, "release", "made") or "One marked copy for each recipient, each with a key of its own.",
            releases > 0,
            OWNER,
            "release_list",
            "Make a release",
        ),
        Step(
            "Register a suspect",
            _so_far(suspects, "suspect", f"registered, {count(references)} to compare them with")
            or "The model to be tested, and references that never saw the release.",
            suspects > 0,
            AUDITOR,
            "model_list",
            "Register a model",
        ),
        Step(
            "Audit it",
            _so_far(audits, "audit", f"finished, {_counted(plans, 'locked plan')}")
            or "Write down the plan, lock it, then queue it: in that order, so that nobody can choose the outcome.",
            audits > 0,
            AUDITOR,
            "audit_list",
            "Plan an audit",
        ),
        Step(
            "Issue the report",
            _so_far(reports, "report", "issued") or "A document that others can read and check without this server.",
            reports > 0,
            LEGAL,
            "report_list",
            "Issue a report",
        ),
    ]


def _key_step(user: User, releases: int) -> Step:
    """Auditors never see keys; for them a key exists where a release does."""
    keys = WatermarkKey.objects.for_user(user).exclude(state=WatermarkKey.State.DROPPED).count()
    sentence = _so_far(keys, "key", "drawn and kept encrypted") or (
        "The owner's keys are drawn and committed."
        if releases
        else "Drawn by the server, committed to before it is used, never shown."
    )
    return Step("Draw a key and commit", sentence, keys > 0 or releases > 0, OWNER, "key_list", "Draw a key")


def _administrator_steps(user: User) -> list[Step]:
    own = user.organisations(Role.ADMINISTRATOR)
    members = Membership.objects.filter(organisation__in=own)
    people = members.exclude(user=user).values("user").distinct().count()
    missing = [role.label for role in Role if not members.filter(role=role).exists()]
    without_contact = Organisation.objects.filter(pk__in=own.values("pk"), contact="").count()
    administrator = frozenset({Role.ADMINISTRATOR})
    return [
        Step(
            "Add the members",
            _so_far(people, "other member", "added") or "Nobody but you can sign in yet.",
            people > 0,
            administrator,
            "people",
            "Add a member",
        ),
        Step(
            "Give every role to somebody",
            f"Nobody is {' or '.join(missing)} yet." if missing else "Every role is held by somebody.",
            not missing,
            administrator,
            "people",
            "Give roles",
        ),
        Step(
            "Name a contact",
            "Reports print whom to ask." if without_contact else "Reports print whom to ask; it is set.",
            not without_contact,
            administrator,
            "people",
            "Name the contact",
        ),
    ]


def _so_far(number: int, noun: str, what: str) -> str:
    return f"{_counted(number, noun)} {what}." if number else ""


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
