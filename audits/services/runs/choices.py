"""The part of an audit's run that asks about the alternatives of a keyed choice: which does a model know better?"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from audits.asking.probe_images import load_images_once
from audits.asking.questions import BLOCK_IMAGES
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.judging.assignments import Rules
from audits.judging.choices import Choices, judge_choice, may_end, over, wrong_choice
from audits.judging.levels import ChoiceLevel, Unscored
from audits.judging.membership import MembershipScores, membership_levels
from audits.judging.result import CHOICE, ChoiceResult
from audits.models import Audit, Plan, RegisteredModel
from audits.planning.exposure import places_asked
from audits.services.plans.frozen import OWN_CAPTIONS
from audits.services.plans.values import PlanError, choice_of
from audits.services.runs.asked import Asked
from audits.services.runs.chosen_images import ChosenOfSet, Files
from audits.services.runs.other_tests import AskedChoice
from audits.services.runs.scored import Reasons, scores_of_models
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from audits.statistics.density import LEVELS, Level
from audits.statistics.looks import blocks_at
from audits.statistics.permutation import philox_from
from provenance.canonical import canonical_json
from provenance.intake.manifest import Entry, Manifest
from provenance.marks import KeyedChoice, VersionsSettings
from provenance.marks.second_audit import part_of, pictures_at
from provenance.models import Release
from provenance.services.jobs.running import JobRun
from provenance.services.keyed_choices import blocks_and_choice
from provenance.services.version_choices import VersionChoice, published_versions

if TYPE_CHECKING:
    from audits.suspects import SandboxedModel

Levels = dict[Level, ChoiceLevel | Unscored]
Scored = dict[str, Mapping[Level, MembershipScores]]  # by the name of the model
VIEWS = "views"  # the purpose of what a plan's digest draws


@dataclass(eq=False)
class ChosenAlternatives(ChosenOfSet):
    """What the key of a release chose to stay home, and the alternatives it chose among, published ones and others.

    A secret: it exists inside the job only. family: the kind of choice; files: the n alternatives, block by block;
    captions: theirs, where the plan asks about them.
    """

    family: str

    files: Files = field(repr=False)
    choice: Blocks = field(repr=False)
    wrong: Blocks | None = field(repr=False)
    captions: list[str | None] | None = field(repr=False)

    association = CHOICE

    @property
    def digest(self) -> str:
        """SHA-256 over what is asked about, whichever stayed home; logged before any question.

        Of the alternatives' content digests and, where the plan asks about them, of their captions.
        """
        contents = [sha256 for _, sha256 in self.files]
        asked = contents if self.captions is None else [contents, self.captions]
        return hashlib.sha256(canonical_json(asked)).hexdigest()


def choose_alternatives(audit: Audit, release: Release, run: JobRun) -> list[ChosenAlternatives]:
    """The keyed choice of a release, or nothing. Asked about are the owner's own files, or versions made of them anew.

    Never those of the copy.
    """
    settings = choice_of(release)
    if settings is None:
        return []
    run.checkpoint()
    plan, sets = audit.plan, len(release.key.mark_sets)
    number = sets - 1
    if isinstance(settings, VersionsSettings):
        pairs = asked_versions(plan, release)
        blocks = Blocks(np.repeat(np.arange(len(pairs)), 2), 2 * np.arange(len(pairs)) + pairs.home)
        entries = _entries(release, np.repeat(pairs.positions, 2))
        files = pairs.files(audit.made_folder / f"versions-{release.pk}", run.checkpoint)
    else:
        chosen = asked_choice(plan, release)
        blocks = Blocks(chosen.block_of, chosen.home)
        entries = _entries(release, chosen.positions)
        files = [(release.version.files_folder / entry.path, entry.sha256) for entry in entries]
    captions = [entry.caption for entry in entries] if plan.frozen.get(OWN_CAPTIONS) else None
    wrong = wrong_choice(blocks, plan.digest, str(release.pk)) if plan.wrong_key_control else None
    kind = str(settings.to_dict()["kind"])
    return [ChosenAlternatives(release, number, sets, kind, files, blocks, wrong, captions)]


def _entries(release: Release, positions: np.ndarray) -> list[Entry]:
    with Manifest(release.version.manifest_folder) as manifest:
        if manifest.root != release.version.root:
            raise PlanError("The manifest on disk is not the one that this version was registered with.")
        return [manifest.entry(int(position)) for position in positions]


def asked_choice(plan: Plan, release: Release) -> KeyedChoice:
    """What the key chose in the blocks that this plan asks about: all but those kept for a second audit, or these."""
    there, chosen = blocks_and_choice(release)
    if not plan.kept_share:
        return chosen
    places = places_asked(len(chosen), plan.kept_share, plan.asks_kept)
    return part_of(chosen, there, *_public(release), places)


def asked_versions(plan: Plan, release: Release) -> VersionChoice:
    """The same of pictures in two versions."""
    chosen = published_versions(release)
    if not plan.kept_share:
        return chosen
    places = places_asked(len(chosen), plan.kept_share, plan.asks_kept)
    return chosen.of(pictures_at(chosen.positions, release.version.file_count, *_public(release), places))


def _public(release: Release) -> tuple[bytes, bytes]:
    """Commitment and beacon of its key."""
    return bytes.fromhex(release.key.commitment), bytes.fromhex(release.key.beacon)


def passes_of(plan: Plan, chosen: ChosenAlternatives, models: int) -> int:
    """Forward passes of all models; a wrong key costs none, for it is a choice among the same images."""
    return models * len(chosen.files) * plan.views


def ask(
    asked: Asked,
    model: RegisteredModel,
    session: "SandboxedModel",
    chosen_sets: Sequence[ChosenAlternatives],
    images: range | None = None,
) -> None:
    """One model about the alternatives of every release, in the views that the plan's digest draws for all of them.

    images: about those with these numbers only.
    """
    plan, size = asked.audit.plan, session.info.input_shape[1]
    drawn = drawn_views(ViewSettings(plan.views, plan.smallest_crop), philox_from(plan.digest, VIEWS))
    for chosen in chosen_sets:
        subject = f"{model.asked_as} {chosen.release.pk} {plan.digest} {asked.audit.nonce}"
        question = ViewQuestion(subject, _images(asked, chosen, size), applied(drawn, size), chosen.captions)
        asked.ask(chosen, model, question, session, images)


def _images(asked: Asked, chosen: ChosenAlternatives, size: int) -> np.ndarray:
    """Decoded once per set and size."""
    kept = asked.audit.made_folder / chosen.name / f"alternatives-{size}.npy"
    return load_images_once(kept, chosen.files, size, lambda done: asked.run.checkpoint())


def ask_and_look(
    asked: Asked,
    opened: Sequence[tuple[RegisteredModel, "SandboxedModel"]],
    chosen: ChosenAlternatives,
    rules: Rules,
    run: JobRun,
) -> tuple[ChoiceResult, AskedChoice]:
    """The result of one set, asked about in equal parts until a look may end it, and what other tests compare.

    opened: all models at once.
    """
    plan, models, begun = asked.audit.plan, [model for model, _ in opened], 0
    made: list[Levels] = []
    for look in range(1, plan.looks + 1):
        blocks = blocks_at(look, plan.looks, len(chosen.choice))
        images = int((chosen.choice.block_of < blocks).sum())
        for model, session in opened:
            ask(asked, model, session, [chosen], range(begun, images))
        begun = images
        levels, scored = _levels(asked, models, chosen, rules, run, blocks)
        made.append(levels)
        together = _over(made, plan.looks, rules)
        tested = {level: one for level, one in together.items() if isinstance(one, ChoiceLevel)}
        if may_end(tested, plan.primary_levels, look, plan.looks):
            break
    return _result(asked, chosen, rules, together, blocks), _compared(asked, chosen, rules, together, scored, blocks)


def _over(made: Sequence[Levels], looks: int, rules: Rules) -> Levels:
    """A level that could not be tested at one look is not tested at all."""
    found: Levels = {}
    for level in made[-1]:
        seen = [one.get(level) for one in made]
        missing = next((one for one in seen if isinstance(one, Unscored)), None)
        tested = [one for one in seen if isinstance(one, ChoiceLevel)]
        found[level] = missing or over(tested, looks, rules)
    return found


def judge(
    asked: Asked, models: Sequence[RegisteredModel], chosen: ChosenAlternatives, rules: Rules, run: JobRun
) -> tuple[ChoiceResult, AskedChoice]:
    """The result of one set at every level, looked at once, and what other tests compare."""
    blocks = len(chosen.choice)
    levels, scored = _levels(asked, models, chosen, rules, run, blocks)
    return _result(asked, chosen, rules, levels, blocks), _compared(asked, chosen, rules, levels, scored, blocks)


def _levels(
    asked: Asked,
    models: Sequence[RegisteredModel],
    chosen: ChosenAlternatives,
    rules: Rules,
    run: JobRun,
    blocks: int,
) -> tuple[Levels, Scored]:
    """What the first blocks say at every level, and the scores of every model."""
    plan = asked.audit.plan
    choices = Choices(chosen.choice, chosen.wrong, _covariates(asked, chosen)).first(blocks)
    images = len(choices.true.block_of)

    def score(model: RegisteredModel) -> tuple[Mapping[Level, MembershipScores], Reasons]:
        return membership_levels(ViewAnswers(asked.of(chosen, model).folder, images))

    scored, reasons = scores_of_models(asked.audit.plan, models, score, run)
    levels: Levels = {level: Unscored(reason) for level, reason in reasons.items()}
    for level, scores in scored[plan.suspect.name].items():
        run.checkpoint()
        others = {name: of[level] for name, of in scored.items() if name != plan.suspect.name and level in of}
        if level not in levels:
            levels[level] = judge_choice(level, scores, others, choices, rules, chosen.name)
    return levels, scored


def _result(asked: Asked, chosen: ChosenAlternatives, rules: Rules, levels: Levels, blocks: int) -> ChoiceResult:
    return ChoiceResult(
        test=CHOICE,
        level=rules.level,
        levels=levels,
        probes_digest=chosen.digest,
        nonce=asked.audit.nonce,
        blocks=blocks,
        alternatives=int((chosen.choice.block_of < blocks).sum()),
        views=asked.audit.plan.views,
    )


def _compared(
    asked: Asked, chosen: ChosenAlternatives, rules: Rules, levels: Levels, scored: Scored, blocks: int
) -> AskedChoice:
    """For the levels that were tested."""
    suspect = asked.audit.plan.suspect.name
    tested = [level for level in LEVELS if isinstance(levels.get(level), ChoiceLevel)]
    return AskedChoice(
        choice=chosen.choice.first(blocks),
        blocks=len(chosen.choice),
        suspect={level: scored[suspect][level] for level in tested},
        references=[scores for name, scores in scored.items() if name != suspect],
        seed=(rules.digest + rules.nonce, chosen.name),
        number=chosen.set_number,
    )


def _covariates(asked: Asked, chosen: ChosenAlternatives) -> np.ndarray:
    """Of the pictures as the suspect's input has them."""
    size = asked.size_of(asked.audit.plan.suspect)
    images = _images(asked, chosen, size)
    return picture_covariates(images[start : start + BLOCK_IMAGES] for start in range(0, len(images), BLOCK_IMAGES))
