"""What pages and commands say of pilots: what was asked for, tables, single trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.http import urlencode

from audits.judging.bases import BASES, Basis, bases_shown
from audits.models import Pilot
from audits.pilots.methods import METHODS
from audits.pilots.pilot.advice import BASIS_WORDS, NOT_MEASURED, interval_words, networks, recommendation
from audits.pilots.pilot.feasibility import Row, feasibility, says
from audits.pilots.pilot.found import LineFound, PilotFound
from audits.pilots.pilot.settings import Line, PilotSettings, Proposal
from audits.pilots.pilot.summary import Power, Summary, summaries
from provenance.models import Blocking, Clusters, Role, User, Version
from provenance.wording import count, duration, p_value, percent

_PER_CENT = ("side", "opacity", "bend")
_AS_IT_IS = ("cells", "amplitude", "periods", "finest")


def visible(user: User) -> "models.QuerySet[Pilot]":
    """The person's pilots for lists, newest first, with what the lines name."""
    return Pilot.objects.for_user(user).select_related("version__dataset", "job", "created_by")


def settings_of(pilot: Pilot) -> PilotSettings:
    return PilotSettings.from_json(pilot.settings)


def found_of(pilot: Pilot) -> PilotFound | None:
    """None until it is done."""
    return PilotFound.from_json(pilot.found) if pilot.found else None


def line_title(settings: PilotSettings, line: Line) -> str:
    """ "SimCLR, unmarked twin 1", "SimCLR, 5 % at home, key 2" """
    method = METHODS[line.method].title
    if line.proposal is None:
        return f"{method}, unmarked twin {line.number + 1}"
    varied = f", {line.varied.title}" if line.varied else ""
    return f"{method}, {settings.proposals[line.proposal].title}, key {line.number + 1}{varied}"


def facts(settings: PilotSettings, user: User) -> list[tuple[str, str]]:
    """What was asked for, in words; a dataset that is mixed in has a name for those who may see it."""
    others = Version.objects.for_user(user).filter(pk=settings.others).first() if settings.others else None
    ranked = any(proposal.is_plain for proposal in settings.proposals)
    return [
        ("Tried", "; ".join(proposal.title for proposal in settings.proposals)),
        ("Methods", ", ".join(METHODS[name].title for name in settings.methods)),
        ("Keys for each", count(settings.runs)),
        ("Unmarked twins of each method", count(settings.references)),
        ("Varied", "; ".join(one.title for one in settings.varied) or "nothing"),
        *([("Mixed in", str(others or "another dataset"))] if settings.others else []),
        ("Trainings", count(len(settings.lines()))),
        ("Epochs", count(settings.epochs)),
        ("Images, at most", count(settings.images)),
        ("Side of the images", f"{settings.pixels} pixels"),
        ("Network", networks(settings)),
        ("Alpha", f"{settings.alpha:g}"),
        *([("Decoys of every plain mark", count(settings.decoys))] if ranked else []),
        ("Time", duration(60 * settings.minutes)),
        ("Device", "processor" if settings.device == "cpu" else "a GPU where there is one"),
    ]


def outcome(pilot: Pilot) -> dict[str, Any]:
    """What a finished pilot found, for the page."""
    settings, found = settings_of(pilot), found_of(pilot)
    assert found is not None  # noqa: S101 - asked for finished ones only
    made = summaries(settings, found)
    bases = bases_shown(one.levels for one in found.lines)
    return {
        "found": found,
        "bases": {basis: BASIS_WORDS[basis] for basis in bases},
        "advice": recommendation(settings, found, made),
        "summaries": made,
        "power": power_table(made),
        "quality": quality_table(made),
        "feasibility": feasibility_table(settings, found) if settings.variations else None,
        "lines": [line_row(settings, one, bases) for one in found.lines],
        "missing": [line_title(settings, one) for one in settings.lines() if one.name in found.missing],
        "queries": max((one.queries for one in made), default=0),
    }


def title(one: Summary) -> str:
    return f"{one.proposal.title}, {METHODS[one.method].title}"


def power_table(made: Sequence[Summary]) -> dict[str, Any]:
    """How often each was found at every level, and by single scores of it."""
    bases = bases_shown(one.power for one in made)
    rows = [
        [
            title(one),
            *(_power(one.power.get(basis)) for basis in bases),
            f"{count(one.marked)} of {count(one.wanted)}",
            count(one.queries),
        ]
        for one in made
    ]
    heads = (f"Found by {BASIS_WORDS[basis]}" for basis in bases)
    return {"columns": ["Settings", *heads, "Marked or at home, of the release’s", "Questions"], "rows": rows}


def _power(power: Power | None) -> str:
    if power is None:
        return NOT_MEASURED
    interval = f"{percent(power.low)} to {percent(power.high)}"
    return f"{power.found} of {power.audits} ({interval}), median p {p_value(power.median_p)}"


def quality_table(made: Sequence[Summary]) -> dict[str, Any]:
    """What each costs."""
    rows = [
        [
            title(one),
            f"{one.psnr:.1f}" if one.psnr is not None else "no pixel changed",
            f"{one.ssim:.3f}" if one.ssim is not None else "no pixel changed",
            interval_words(one.unmarked),
            interval_words(one.accuracy),
            interval_words(one.cost),
            interval_words(one.nearest_cost),
        ]
        for one in made
    ]
    columns = ["Settings", "PSNR, dB", "SSIM", "Accuracy unmarked, %", "Accuracy marked, %", "Lost, points"]
    return {"columns": [*columns, "Lost by neighbours, points"], "rows": rows}


def feasibility_table(settings: PilotSettings, found: PilotFound) -> dict[str, Any]:
    """The four failures of published marks, measured on the owner's data."""
    rows = feasibility(settings, found)
    bases = bases_shown(row.power for row in rows)
    return {
        "columns": ["Settings", "Question", "Learner", *(BASIS_WORDS[basis].capitalize() for basis in bases)],
        "rows": [
            [row.proposal.title, _QUESTIONS[row.failure], row.varied, *(_measured(row, basis) for basis in bases)]
            for row in rows
        ],
        "says": says(rows),
    }


_QUESTIONS = {
    "adaptability": "Adaptability: does this dataset take it?",
    "success": "Success: is it found at this share?",
    "portability": "Portability: does it hold elsewhere?",
    "assumptions": "Assumptions: does it hang on the task?",
}


def _measured(row: Row, basis: Basis) -> str:
    if basis not in row.power:
        return NOT_MEASURED
    deviations = interval_words(row.deviations[basis], 1)
    if row.failure == "adaptability":
        return f"{deviations} standard deviations"
    power = row.power[basis]
    interval = f"{percent(power.low)} to {percent(power.high)}"
    found = f"{power.found} of {power.audits} ({interval})"
    return found if row.failure == "success" else f"{found}; {deviations} standard deviations"


def line_row(settings: PilotSettings, one: LineFound, bases: Sequence[Basis]) -> dict[str, Any]:
    """A training in the list of all, with a p for each of these."""
    return {
        "name": one.line.name,
        "title": line_title(settings, one.line),
        "seconds": one.seconds,
        "images": one.images,
        "linear": one.linear,
        "nearest": one.nearest,
        "p": [one.levels[basis].p if basis in one.levels else None for basis in bases],
    }


def level_rows(one: LineFound) -> list[list[Any]]:
    """The audit of a single training, level by level."""
    rows = []
    reasons: dict[Basis, str] = dict(one.reasons.items())
    for basis in BASES:
        if at := one.levels.get(basis):
            auc = "–" if at.auc is None else f"{at.auc:.3f}"
            wrong = "–" if at.wrong_key is None else p_value(at.wrong_key)
            rows.append(
                [BASIS_WORDS[basis], p_value(at.p), p_value(at.p_without), f"{at.z:.1f}".replace("-", "−"), auc, wrong]
            )
        elif reason := reasons.get(basis):
            rows.append([BASIS_WORDS[basis], reason, "–", "–", "–", "–"])
    return rows


LEVEL_COLUMNS = ["Level", "p with twins as references", "p without", "Deviations", "AUC", "p of a wrong key"]


def release_address(pilot: Pilot, proposal: Proposal, user: User) -> str:
    """Where a release with these settings is begun, its form filled; nothing for who may make none."""
    if not user.has_role(pilot.organisation, Role.RIGHTS_HOLDER):
        return ""
    filled: dict[str, Any] = {"version": pilot.version_id}
    if withheld := proposal.withheld:
        blocking = Blocking.objects.filter(version=pilot.version, digest=withheld.blocking).first()
        if blocking is None:
            return ""
        filled |= {"home-kind": "untouched", "home-blocking": blocking.pk, "home-share": f"{100 * withheld.share:g}"}
    elif struck := proposal.struck:
        values = {"association": struck.association, "family": struck.family, "preset": "balanced"}
        if not struck.is_plain:
            values |= {"group_by": struck.group_by, "groups": "\n".join(struck.groups)}
        if struck.clusters:
            found = Clusters.objects.filter(version=pilot.version, digest=struck.clusters).first()
            if found is None:
                return ""
            values |= {"clusters": str(found.pk)}
        values |= {"share": f"{100 * struck.share:g}"}
        values |= {name: f"{100 * getattr(struck, name):g}" for name in _PER_CENT if name in struck.options}
        values |= {name: f"{getattr(struck, name):g}" for name in _AS_IT_IS if name in struck.options}
        filled |= {f"set-1-{name}": value for name, value in values.items()}
    return f"{reverse('release_new')}?{urlencode(filled)}"


def as_json(pilot: Pilot) -> dict[str, Any]:
    """A finished pilot for machines, on the page and from the command."""
    settings, found = settings_of(pilot), found_of(pilot)
    assert found is not None  # noqa: S101 - asked for finished ones only
    made = summaries(settings, found)
    return {
        "id": str(pilot.pk),
        "version": str(pilot.version),
        "root": pilot.version.root,
        "code_version": pilot.code_version,
        "finished_at": pilot.finished_at.isoformat() if pilot.finished_at else None,
        "settings": settings.to_json(),
        "advice": recommendation(settings, found, made),
        "summary": [_summary_json(one) for one in made],
        "feasibility": [_row_json(row) for row in feasibility(settings, found)] if settings.variations else [],
        "found": found.to_json(),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "failure": row.failure,
        "title": row.proposal.title,
        "varied": row.varied,
        "power": _power_json(row.power),
        "deviations": {level: asdict(one) for level, one in row.deviations.items()},
    }


def _power_json(power: Mapping[Basis, Power]) -> dict[str, Any]:
    return {
        level: {"found": p.found, "audits": p.audits, "low": p.low, "high": p.high, "p": list(p.p_values)}
        for level, p in power.items()
    }


def _summary_json(one: Summary) -> dict[str, Any]:
    intervals = {name: getattr(one, name) for name in ("accuracy", "unmarked", "cost", "nearest_cost")}
    return {
        "title": one.proposal.title,
        "method": one.method,
        "power": _power_json(one.power),
        **{name: None if value is None else asdict(value) for name, value in intervals.items()},
        "psnr": one.psnr,
        "ssim": one.ssim,
        "queries": one.queries,
        "marked": one.marked,
        "wanted": one.wanted,
        "aucs": one.aucs,
        "grown": one.grown,
    }
