"""What a pilot's numbers say in words, and no more than they carry. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import scipy  # its parts load when they are first used: no command and no page should wait for them

from audits.judging.bases import BY_CAPTION, SAYS, Basis
from audits.pilots.methods import METHODS
from audits.pilots.pilot.found import PilotFound
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.pilot.summary import CONFIDENCE, Interval, Power, Summary
from audits.statistics.power import blocks_needed
from provenance.wording import count, counted, p_value, percent

NOT_MEASURED = "not measured"
BASIS_WORDS: dict[Basis, str] = {
    "features": "features",
    "features / caption": "features / caption",
    "features / omnibus": "features / omnibus",
    "soft": "soft labels",
    "hard": "hard labels",
}
LARGEST_CHANCE = 0.05  # that what is recommended was found by chance, all tests together
LEAST_AUC = 0.505  # below which the number of units that it would take says nothing
POWER = 0.8
FEW_AUDITS = 5  # below which nobody is told that something is found as a rule


def recommendation(settings: PilotSettings, found: PilotFound, made: Sequence[Summary]) -> list[str]:
    """Sentences: what to choose as far as anything was found, and what the pilot cannot say."""
    if not made:
        return ["No suspect was trained in time, so this pilot says nothing: give it more minutes or fewer epochs."]
    told = [_about_best(settings, made)]
    told += filter(None, (needed_sentence(one, settings.alpha) for one in made))
    if any(BY_CAPTION in one.power for one in made):
        told.append(SAYS)
    if found.missing:
        told.append(
            f"{counted(len(found.missing), 'training')} of {count(len(found.missing) + len(found.lines))} did not fit "
            "into the time; intervals are wider than planned."
        )
    if any(one.is_smaller for one in made):
        told.append(
            "The pilot had room for fewer marked images, or fewer at home, than the release will have; what more of "
            "them add was not measured."
        )
    if found.images < found.of:
        told.append(
            f"These models learnt from {count(found.images)} of {count(found.of)} images. Models remember single "
            "images of a small set better than of a large one, so in the whole set less may be found of what stays "
            "home."
        )
    told.append(
        f"All of this holds for {_methods(settings)} with {networks(settings)} "
        f"at {settings.pixels} pixels after {counted(settings.epochs, 'epoch')}; how others learn, no pilot knows."
    )
    return told


def _about_best(settings: PilotSettings, made: Sequence[Summary]) -> str:
    """The cheapest of what was found most often."""
    ranked = sorted(((one, basis, power) for one in made for basis, power in one.power.items()), key=_rank)
    if not ranked or not ranked[0][2].found:
        return (
            f"Nothing that was tried was found at alpha {settings.alpha:g} in any of {_these(settings)}: do not count "
            "on any of it. Mark more images, let more stay home, or expect to find only models that train for longer."
        )
    best, basis, power = ranked[0]
    if chance_of(power, settings.alpha) * len(ranked) > LARGEST_CHANCE:
        return (
            f"What was found most often, {power_words(power, settings.alpha)}, chance alone finds as often where "
            f"{count(len(ranked))} tests are looked at: do not count on it before more keys were tried."
        )
    sentence = (
        f"“{best.proposal.title}” was found most often: {power_words(power, settings.alpha)} of models by "
        f"{METHODS[best.method].title}, from their {BASIS_WORDS[basis]}, median p {p_value(power.median_p)}."
    )
    if power.audits < FEW_AUDITS:
        sentence += f" {counted(power.audits, 'audit').capitalize()} show that it can be found, not how often."
    return f"{sentence} {cost_sentence(best)}"


def needed_sentence(one: Summary, alpha: float) -> str:
    """How many would have to stay home, by the best AUC at the end of the trainings; nothing where it tells nothing."""
    last = {basis: curve[max(curve)] for basis, curve in one.aucs.items() if curve}
    basis = max(last, key=lambda name: last[name], default=None)
    if basis is None or one.proposal.withheld is None or last[basis] <= LEAST_AUC:
        return ""
    blocks = blocks_needed(one.proposal.withheld.block_size, last[basis], alpha, POWER)
    return (
        f"“{one.proposal.title}”, {METHODS[one.method].title}: at the mean AUC of {last[basis]:.3f} that the "
        f"{BASIS_WORDS[basis]} gave, a test at alpha {alpha:g} has a power of {percent(POWER)} with about "
        f"{count(blocks)} units at home (a normal approximation); {count(one.marked)} were."
    )


def chance_of(power: Power, alpha: float) -> float:
    """That so many audits of models that know nothing, or more, would have come to alpha."""
    return float(scipy.stats.binom.sf(power.found - 1, power.audits, alpha))


def _rank(one: tuple[Summary, Basis, Power]) -> tuple[float, float, float]:
    summary, _, power = one
    return -power.rate, summary.cost.mean if summary.cost else 0.0, power.median_p


def cost_sentence(one: Summary) -> str:
    """What it costs a model's quality, and an image's looks."""
    looks = (
        f" Marked images have a PSNR of {one.psnr:.1f} dB and an SSIM of {one.ssim:.3f}."
        if one.psnr is not None and one.ssim is not None
        else " No image is changed."
    )
    if one.cost is None:
        return f"What it costs a model's accuracy was not measured, for the images have no classes.{looks}"
    if one.cost.low is None or one.cost.high is None:
        return f"Accuracy {_moved(one.cost)} in one training; one says little.{looks}"
    if one.cost.low <= 0 <= one.cost.high:
        return f"No loss of accuracy can be told from chance: {interval_words(one.cost)} points.{looks}"
    return f"Accuracy {_moved(one.cost)} ({interval_words(one.cost)} lost).{looks}"


def _moved(cost: Interval) -> str:
    return f"{'fell' if cost.mean > 0 else 'rose'} by {points(abs(cost.mean))}" if cost.mean else "stayed as it was"


def _these(settings: PilotSettings) -> str:
    """Variations are told of by themselves."""
    return "the models that learnt as planned" if any(one.is_trained for one in settings.varied) else "these models"


def power_words(power: Power, alpha: float) -> str:
    """ "4 of 5 audits at alpha 0.001 (28 % to 99 %)" """
    return (
        f"in {power.found} of {counted(power.audits, 'audit')} at alpha {alpha:g} "
        f"({percent(power.low)} to {percent(power.high)} with {percent(CONFIDENCE)} confidence)"
    )


def points(value: float) -> str:
    """A difference of accuracies in points, with a true minus sign."""
    return f"{100 * value:.1f} points".replace("-", "−")


def interval_words(interval: Interval | None, factor: float = 100) -> str:
    """ "1.2 (0.4 to 2.0)", in points unless the factor says otherwise."""
    if interval is None:
        return NOT_MEASURED
    words = _tenths(factor * interval.mean)
    if interval.low is not None and interval.high is not None:
        words += f" ({_tenths(factor * interval.low)} to {_tenths(factor * interval.high)})"
    return words


def _tenths(value: float) -> str:
    return f"{value:z.1f}".replace("-", "−")


def networks(settings: PilotSettings) -> str:
    """As people name them: CLIP has its own."""
    named = [settings.encoder] if set(settings.methods) != {"clip"} else []
    return " and ".join([*named, "a tiny CLIP network"] if "clip" in settings.methods else named)


def _methods(settings: PilotSettings) -> str:
    return " and ".join(METHODS[name].title for name in settings.methods)
