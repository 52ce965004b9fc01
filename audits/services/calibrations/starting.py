"""Calibrations: started, listed, and found again by whoever asks how far a p-value of this code can be believed."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from django.db import models, transaction

from audits.calibration import BenchSize, CalibrationSettings, CalibrationTable, PairRules
from audits.calibration.rounds import CalibrationError
from audits.models import Calibration, RegisteredModel
from audits.services.code_version import code_version, computes_alike
from audits.services.plans.drafting import auditable_versions
from audits.services.plans.forecasts import SECONDS_PER_MODEL, images_per_second
from provenance.marks import PRESETS, MarkSettings, families
from provenance.models import Job, Organisation, Role, User, Version
from provenance.services import log
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.wording import count

ROLES = (Role.AUDITOR, Role.ADMINISTRATOR)
SEEDS = 2**31
SIDE = 32  # pixels of probes and group images; networks as small as the null models see no more
STOCK = 1200  # images that rounds draw from
TOO_FEW_IMAGES = "This version has fewer than {} images; calibrate on procedural scenes."
# Pairs of a line with which a calibration of all families can tell: with 700, some interval at 0.05 reaches 0.10 by
# chance alone in more than half of them, with 900 in one of fourteen.
ENOUGH_PAIRS = 1_000
MOST_ROUNDS, MOST_MODELS, MOST_PAIRS, MOST_REFERENCES = 40, 24, 5_000, 6
# With 99 decoys a p of 0.01 is within reach; ten groups are tested by drawn permutations, as large releases are.
BENCH = BenchSize(groups=10, probes=32, per_group=8, sets=2, keys=110, views=3)
RULES = PairRules(references=2, decoys=99, block=20, exceedances=4, slow_pairs=50)
# What one core needs; the newest finished calibration corrects them.
SECONDS_PER_IMAGE, SECONDS_PER_PAIR, SECONDS_PER_NEW_MODEL = 0.0003, 0.03, 1.0


@dataclass(frozen=True)
class Wanted:
    """What a person asks for: rounds and pairs count for every family.

    seed: drawn at random where it is None. version: its images instead of procedural scenes. references: registered
    models that join the null models of every round. stock: images that the rounds draw from.
    """

    families: tuple[str, ...] = field(default_factory=lambda: tuple(families()))
    rounds: int = 4
    models: int = 6
    pairs: int = 250
    seed: int | None = None
    version: Version | None = None
    references: Sequence[RegisteredModel] = ()
    stock: int = STOCK
    bench: BenchSize = BENCH
    rules: PairRules = RULES

    @property
    def settings(self) -> CalibrationSettings:
        return CalibrationSettings(
            rounds=self.rounds,
            models=self.models,
            pairs=self.pairs,
            bench=self.bench,
            rules=self.rules,
            seed=self.seed or 0,
        )


@dataclass(frozen=True)
class Cost:
    """What a calibration takes: null models built, images they are asked about, p-values, and seconds on one core."""

    models: int
    passes: int
    pairs_per_line: int
    p_values: int
    seconds: float
    measured: bool  # by an earlier calibration of this installation

    @property
    def is_few(self) -> bool:
        return self.pairs_per_line < ENOUGH_PAIRS


def usable_references(user: User) -> "models.QuerySet[RegisteredModel]":
    """Connected references of the organisations whose auditor this person is; bare hard labels would not do."""
    found = RegisteredModel.objects.references().filter(organisation__in=user.organisations(Role.AUDITOR))
    return found.exclude(connection={}).exclude(spec__returns=["hard"]).order_by("name")


@transaction.atomic
def start(organisation: Organisation, wanted: Wanted, *, by: User) -> Calibration:
    """Queues a calibration. Raises CalibrationError for what cannot be run, PermissionDenied for whom it is not."""
    require(by, organisation, *ROLES)
    check(wanted)
    if wanted.version is not None and not auditable_versions(by).filter(pk=wanted.version.pk).exists():
        raise CalibrationError("Images of this version are not open to you for audits.")
    for model in wanted.references:
        if model.organisation_id != organisation.pk or not usable_references(by).filter(pk=model.pk).exists():
            raise CalibrationError(f"{model.name} is no connected reference of {organisation} that you may ask.")
    seed = secrets.randbelow(SEEDS) if wanted.seed is None else wanted.seed
    calibration = Calibration.objects.create(
        organisation=organisation,
        settings={
            "families": list(wanted.families),
            "stock": wanted.stock,
            "core": asdict(wanted.settings) | {"seed": seed},
        },
        version=wanted.version,
        code_version=code_version(),
        created_by=by,
    )
    calibration.references.set(wanted.references)
    calibration.job = enqueue(
        "calibration.run", calibration, organisation=organisation, by=by, params={"calibration": str(calibration.pk)}
    )
    calibration.save(update_fields=["job"])
    details = {
        "families": list(wanted.families),
        "rounds": wanted.rounds,
        "models": wanted.models,
        "pairs": wanted.pairs,
        "seed": seed,
        "images": str(wanted.version) if wanted.version else "procedural scenes",
        "references": [model.name for model in wanted.references],
        "code": calibration.code_version,
    }
    log.record("calibration.started", calibration, organisation=organisation, by=by, details=details)
    return calibration


def check(wanted: Wanted) -> None:
    """Raises CalibrationError with the first thing that cannot be; the sentence says what to change."""
    if not wanted.families or len(set(wanted.families)) != len(wanted.families):
        raise CalibrationError("Choose at least one mark family, each once.")
    if unknown := [name for name in wanted.families if name not in families()]:
        raise CalibrationError(f"There is no mark family “{unknown[0]}”. Choose among {', '.join(families())}.")
    if not 1 <= wanted.rounds <= MOST_ROUNDS:
        raise CalibrationError(f"Choose between 1 and {MOST_ROUNDS} rounds for each family.")
    if not wanted.rules.references < wanted.models <= MOST_MODELS:
        raise CalibrationError(f"Choose between {wanted.rules.references + 1} and {MOST_MODELS} null models.")
    if not 1 <= wanted.pairs <= MOST_PAIRS:
        raise CalibrationError(f"Choose between 1 and {count(MOST_PAIRS)} pairs in each round.")
    if wanted.seed is not None and not 0 <= wanted.seed < SEEDS:
        raise CalibrationError(f"A seed lies between 0 and {count(SEEDS - 1)}.")
    if len(wanted.references) > MOST_REFERENCES:
        raise CalibrationError(f"At most {MOST_REFERENCES} registered models may join.")
    if wanted.version is not None and wanted.version.file_count < least_stock(wanted.bench):
        raise CalibrationError(TOO_FEW_IMAGES.format(least_stock(wanted.bench)))


def least_stock(bench: BenchSize) -> int:
    """Images that a round needs: its groups with their next draws, and probes with as many again for null models."""
    return 2 * bench.groups * bench.per_group + 4 * bench.probes


def cost(wanted: Wanted) -> Cost:
    """Before anything is queued."""
    rounds, passes = wanted.rounds * len(wanted.families), wanted.bench.passes
    asked = wanted.models + len(wanted.references)
    pairs = wanted.rounds * wanted.pairs
    base = rounds * _seconds_of_round(wanted.settings)
    factor = _measured_factor()
    seconds = base * (factor or 1.0)
    for model in wanted.references:
        seconds += SECONDS_PER_MODEL + rounds * passes / (images_per_second(model) or 1 / SECONDS_PER_IMAGE)
    return Cost(
        models=rounds * wanted.models + len(wanted.references),
        passes=rounds * asked * passes,
        pairs_per_line=pairs,
        p_values=pairs * len(wanted.families) * 3 * 10,  # three levels; five tests, with and without references
        seconds=seconds,
        measured=factor is not None,
    )


def _seconds_of_round(settings: CalibrationSettings) -> float:
    per_model = settings.bench.passes * SECONDS_PER_IMAGE + SECONDS_PER_NEW_MODEL
    return settings.models * per_model + settings.pairs * SECONDS_PER_PAIR


def _measured_factor() -> float | None:
    """How much slower this installation is than the figures above, from the newest calibration without references."""
    last = Calibration.objects.finished().filter(references=None, seconds__gt=0).first()
    if last is None or last.seconds is None:
        return None
    made = settings_of(last)
    return last.seconds / (len(last.settings["families"]) * made.rounds * _seconds_of_round(made))


def settings_of(calibration: Calibration) -> CalibrationSettings:
    """The core's settings, as they were stored."""
    stored = dict(calibration.settings["core"])
    bench, rules = BenchSize(**stored.pop("bench")), PairRules(**stored.pop("rules"))
    return CalibrationSettings(**{**stored, "kinds": tuple(stored["kinds"])}, bench=bench, rules=rules)


def marks_of(calibration: Calibration) -> list[MarkSettings]:
    """The marks of every family that is calibrated: the strongest preset, so that responses differ most by pattern."""
    groups = tuple(f"group {number}" for number in range(1, calibration.settings["core"]["bench"]["groups"] + 1))
    return [PRESETS["strong"].settings(groups, family=name) for name in calibration.settings["families"]]


def table_of(calibration: Calibration) -> CalibrationTable:
    """Raises TableError where there is none, or one that another version wrote."""
    return CalibrationTable.from_dict(calibration.table)


def visible(user: User) -> "models.QuerySet[Calibration]":
    """The person's calibrations for lists, newest first; their tables are left in the database."""
    found = Calibration.objects.for_user(user).select_related("organisation", "version__dataset", "created_by", "job")
    return found.defer("table")


def is_current(calibration: Calibration) -> bool:
    return computes_alike(calibration.code_version, code_version())


def mark_ended(job: Job) -> None:
    state = Calibration.State.CANCELLED if job.state == Job.State.CANCELLED else Calibration.State.FAILED
    ended = Calibration.objects.filter(pk=job.params["calibration"]).exclude(state=Calibration.State.DONE)
    for calibration in ended:
        calibration.state = state
        calibration.save(update_fields=["state"])
        verb = "calibration.cancelled" if state == Calibration.State.CANCELLED else "calibration.failed"
        details = {"reason": job.reason} if job.reason else {}
        log.record(verb, calibration, organisation=calibration.organisation, by=None, details=details)
