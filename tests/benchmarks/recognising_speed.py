"""How long others wait while a model is compared with a thousand that were tested before.

Run: python -m tests.benchmarks.recognising_speed [--models 1000] [--rounds 3]   (some two minutes on one core)

*before* compares inside the transaction, one pair of geometries after the other, as `recognise` once did, over
the identities of then (two geometries a question). *now* compares before the transaction and looks inside it
for what was tested meanwhile, over today's identities (four a question). Both on SQLite, in turns, in seconds of
processor time, which what else the machine does leaves alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.audits.golden.make import throw_away_database

SIDES, WAYS = (64, 224, 32), ("imagenet", "clip", "half", "own")
Stored = dict[str, Any]


def identity(seed: int) -> Stored:
    """Of a network of ours: features, scores, at three sizes and in four ways more at two of them."""
    from audits.suspects.geometry import NOISE_IMAGES
    from audits.suspects.identity import Named, identity_of

    rng = np.random.default_rng(seed)
    asked = [f"{side}{way}" for side in SIDES for way in ("", *(f" {way}" for way in WAYS if side != 224))]
    answers = {
        f"{number} {question}": rng.normal(size=(NOISE_IMAGES, size)).astype(np.float32)
        for question in asked
        for number, size in ((1, 64), (2, 10))
    }
    parts = [rng.bytes(8).hex() for _ in range(60)]
    told = {"tensors": rng.bytes(32).hex(), "parts": parts, "named": Named(features=1, scores=2).to_json()}
    return identity_of(told, answers).to_json()


def as_before(stored: Stored) -> Stored:
    geometries = {name: values for name, values in stored["geometries"].items() if "/" not in name}
    return {name: said for name, said in stored.items() if name != "named"} | {"geometries": geometries}


def square(triangle: list[float]) -> np.ndarray:
    made = np.zeros((16, 16))
    made[np.triu_indices(16)] = triangle
    return made + np.triu(made, 1).T


def alike_before(one: Stored, other: Stored) -> bool:
    """As it was: plain questions by their name, those in a way with every one that it might meet."""
    from audits.suspects.identity import TOLERANCE, _met_by

    if one["tensors"] == other["tensors"]:
        return True
    for name, values in one["geometries"].items():
        asked, way = name.split()[:2], "".join(name.split()[2:])
        for there in _met_by(way):
            met = other["geometries"].get(" ".join([*asked, there]).strip())
            if met is not None and float(np.linalg.norm(square(values) - square(met))) <= TOLERANCE:
                return True
    return 2 * len(set(one["parts"]) & set(other["parts"])) > max(len(one["parts"]), len(other["parts"]))


def before(model: Any) -> float:
    """Seconds in the transaction."""
    from django.db import transaction

    from audits.models import RegisteredModel

    begun = time.process_time()
    with transaction.atomic():
        mine = RegisteredModel.objects.select_for_update().get(pk=model.pk).identity
        tested = RegisteredModel.objects.select_for_update().exclude(identity={}).order_by("pk")
        every = tested.only("pk", "sha256", "identity", "known_as")
        found = [other.pk for other in every if other.pk != model.pk and alike_before(mine, other.identity)]
        assert not found
    return time.process_time() - begun


def now(model: Any) -> tuple[float, float]:
    """Seconds in the transaction, and before it."""
    from django.db import transaction

    from audits.services.models.identity import compare, recognise

    begun = time.process_time()
    compared = compare(model)
    between = time.process_time()
    with transaction.atomic():
        recognise(model, compared)
    return time.process_time() - between, between - begun


def registered(count: int) -> Iterator[Any]:
    from audits.models import RegisteredModel
    from provenance.models import Organisation, User

    home = Organisation.objects.create(name="Bench")
    by = User.objects.create(username="bench")
    for number in range(count):
        yield RegisteredModel(
            organisation=home, role="suspect", name=f"{number}", spec={}, weights_name="w", weights_size=1,
            sha256=f"{number:064x}", identity=identity(number), identity_digest=f"{number:064x}", created_by=by,
        )  # fmt: skip


def in_turns(models: list[Any], rounds: int, note: Callable[[float, float, float], None]) -> None:
    from audits.models import RegisteredModel

    for _ in range(rounds):
        for stored in (as_before, dict):
            for one in models:
                one.identity = stored(one.full)
            RegisteredModel.objects.bulk_update(models, ["identity"], batch_size=100)
            if stored is as_before:
                then = before(models[0])
        note(then, *now(models[0]))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--models", type=int, default=1000)
    words.add_argument("--rounds", type=int, default=3)
    chosen = words.parse_args()
    with throw_away_database():
        import uuid

        from audits.models import RegisteredModel

        models = list(registered(chosen.models))
        for one in models:
            one.full, one.known_as = one.identity, uuid.uuid4()
        RegisteredModel.objects.bulk_create(models, batch_size=100)
        found: list[tuple[float, float, float]] = []
        in_turns(models, chosen.rounds, lambda *seconds: found.append(seconds))
    then, locked, ahead = (statistics.median(each) for each in zip(*found, strict=True))
    print(f"{chosen.models} models, medians of {chosen.rounds} rounds")
    print(f"before: {then:.2f} s in the transaction")
    print(f"now: {locked:.3f} s in the transaction, {ahead:.2f} s ahead of it")
    print(f"ratio before / now: {then / locked:.0f} while others wait, {then / (locked + ahead):.1f} in all")


if __name__ == "__main__":
    main()
