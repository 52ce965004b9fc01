"""Whether marked files can be told from others by structure: every family on every set of files.

Run: python -m tests.benchmarks.structure_auc [--each 1000] [--keys 1] [--preset balanced] [--out FOLDER]
    [--files 4] [--first-key 0] [--refused 3] [--finest 9] [--sets NAME …] [--families NAME …]

Each set gives four times as many files as are marked (`--files` times), in eight classes. A release is made of them,
and its marked files are compared with as many others. A classifier learns on half of either kind and is tested on the
other half. The photographs are only 200: there 10 keys mark 100 each, and the mean area over keys is told with its
t-interval, as it is of any set with several keys. Where the product refuses a key's release (no image of a group can
carry its pattern), the next key takes its place, as an owner would draw another; how many were refused stands in the
line, and after three refused (`--refused`) there is no figure. Results stand in FOLDER, one file per line of the table,
and are not computed again. Two cores take some two minutes for each line of 500 and six keys; docs/structure.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import t as student

from provenance.embedding.errors import EmbeddingError, NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.inspection.classifier import BOUND, tell_apart
from provenance.inspection.errors import InspectionError
from provenance.inspection.features import ALL_ROOMS, FORM, STRUCTURAL, Features, within
from provenance.inspection.files import file_features
from provenance.marks import PRESETS, MarkSecret, MarkSettings, families, family_for
from provenance.marks.settings import MANY_SPARES
from provenance.whole_files import write_whole
from tests.benchmarks.structure_sets import SETS, files_of
from tests.provenance.embedding.builders import embed, write_version

GROUPS = tuple(f"group {number}" for number in range(1, 9))
FEW = 300  # files of a set below which several keys mark the same ones
KEYS = 10
REFUSED = 3  # keys, after which an owner would take another mark
SEED = 1
TRIALS = {"decides": STRUCTURAL, "form alone": FORM, "with pictures": ALL_ROOMS}


def mark_of(family: str, preset: str = "balanced", **changes: Any) -> MarkSettings:
    return PRESETS[preset].settings(GROUPS, "class", family, association="associated", **changes)


def secret_for(mark: MarkSettings, key: int) -> MarkSecret:
    return MarkSecret.derive(hashlib.sha256(b"structure %d" % key).digest(), b"b" * 32, mark)


def marked_by(secret: MarkSecret, files: list[bytes], each: int) -> Iterator[tuple[int, bytes]]:
    """(index, marked file) for the key's first `each` files that can bear the mark, whatever they look like then."""
    family, found = family_for(secret.settings), 0
    digests = [hashlib.sha256(data).hexdigest() for data in files]
    for index in sorted(range(len(files)), key=lambda index: secret.placement(digests[index] + "order")):
        pattern = secret.patterns[index % len(secret.patterns)]
        try:
            yield index, mark_image(files[index], family, pattern, secret.placement(digests[index])).data
        except NotMarkableError:
            continue
        found += 1
        if found == each:
            return


@dataclass(frozen=True)
class Draw:
    """So many keys that mark a set, from the number `first` on, and after how many refused ones there is no figure."""

    keys: int
    first: int = 0
    refused: int = REFUSED


class Set:
    """The files of a set as a version with a class for each group, and the features of those that stay unmarked."""

    def __init__(self, files: list[bytes], each: int) -> None:
        self.count, self._each = len(files), min(each, len(files) // 2)
        self._folder = TemporaryDirectory(prefix="structure-")
        named = {f"{GROUPS[at // 4 % len(GROUPS)]}/{at:05d}": data for at, data in enumerate(files)}
        self._version = write_version(Path(self._folder.name), named)
        self._known: dict[str, Features] = {}

    def rows(self, mark: MarkSettings, key: int) -> tuple[list[Features], list[bool]]:
        """Features of a release's marked files with this key and of as many others, and which are marked."""
        mark = mark.replace(share=self._each / self.count, spares=MANY_SPARES)
        with TemporaryDirectory(prefix="structure-") as out:
            embed(self._version, Path(out), secret_for(mark, key))
            listed = (Path(out) / "marked.jsonl").read_text().splitlines()
            paths = [json.loads(line)["path"] for line in listed]
            marked = [file_features((Path(out) / "files" / path).read_bytes()) for path in paths]
        unmarked = [entry.path for entry in self._version if entry.path not in set(paths)]
        chosen = sorted(unmarked, key=lambda path: hashlib.sha256(f"{key}/{path}".encode()).digest())[: len(marked)]
        others = [self._unmarked(path) for path in chosen]
        return [*marked, *others], [True] * len(marked) + [False] * len(others)

    def releases(self, mark: MarkSettings, draw: Draw) -> Iterator[tuple[int, list[Features], list[bool]]]:
        """The key and `rows` of as many releases. Where the product refuses one, the next key takes its place.

        Raises EmbeddingError where so many are refused that an owner would take another mark.
        """
        found = 0
        for drawn in range(draw.keys + draw.refused):
            try:
                rows, marked = self.rows(mark, draw.first + drawn)
            except EmbeddingError:
                if drawn - found == draw.refused - 1:
                    raise
                continue
            yield draw.first + drawn, rows, marked
            found += 1
            if found == draw.keys:
                return

    def _unmarked(self, path: str) -> Features:
        if path not in self._known:
            self._known[path] = file_features((Path(self._folder.name) / "files" / path).read_bytes())
        return self._known[path]


def row(files: Set, mark: MarkSettings, draw: Draw) -> dict[str, Any]:
    """One line of the table; of few files, several keys anyhow."""
    draw = replace(draw, keys=KEYS) if files.count < FEW else draw
    found = [_of_release(rows, marked) | {"key": key} for key, rows, marked in files.releases(mark, draw)]
    keys = draw.keys
    last = found[-1]
    told = {
        name: float(np.mean([one[name] for one in found])) for name in found[0] if isinstance(found[0][name], float)
    }
    if keys > 1:
        for name in TRIALS:
            spread = float(np.std([one[f"{name} auc"] for one in found], ddof=1) / np.sqrt(keys))
            half = float(student.ppf(0.975, keys - 1)) * spread
            told |= {f"{name} low": told[f"{name} auc"] - half, f"{name} high": told[f"{name} auc"] + half}
    return {**last, **told, "keys": keys, "refused keys": last["key"] + 1 - draw.first - keys, "seed": SEED}


def _of_release(rows: list[Features], marked: list[bool]) -> dict[str, Any]:
    found = {name: tell_apart([within(one, rooms) for one in rows], marked, SEED) for name, rooms in TRIALS.items()}
    decides = found["decides"]
    areas = {f"{name} {edge}": getattr(one, edge) for name, one in found.items() for edge in ("auc", "low", "high")}
    areas["above"] = _above(rows, marked)
    counts = {"marked": decides.marked, "others": decides.others, "model": decides.model}
    return {**areas, **counts, "strongest": [list(pair) for pair in decides.strongest]}


def _above(rows: list[Features], marked: list[bool]) -> float:
    """The share of marked files with more bytes per pixel than 99 of 100 others."""
    sizes, truth = np.array([float(one["bytes: bytes per pixel"]) for one in rows]), np.array(marked)
    return float((sizes[truth] > np.quantile(sizes[~truth], 0.99)).mean())


def line(name: str, family: str, told: dict[str, Any]) -> str:
    if "refused" in told:
        return f"| {name} | {family} | {told['refused']} |"
    verdict = "yes" if told["decides high"] <= BOUND else "no"
    count = f"{told['marked']} + {told['others']}" + (f", {told['keys']} keys" if told["keys"] > 1 else "")
    count += f", {told['refused keys']} more refused" if told["refused keys"] else ""
    cells = [f"{told[f'{n} auc']:.3f} ({told[f'{n} low']:.3f}–{told[f'{n} high']:.3f})" for n in TRIALS]
    name_of, alone = told["strongest"][0] if told["strongest"] else ("–", 0.5)
    beyond = f"{told['above']:.1%}"
    return f"| {' | '.join([name, family, count, cells[0], verdict, *cells[1:], beyond, f'{name_of} {alone:.2f}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--files", type=int, default=4, help="for every marked one")
    parser.add_argument("--keys", type=int, default=1, help="that mark each set, for the mean over them")
    parser.add_argument("--first-key", type=int, default=0, help="number of the first of them")
    parser.add_argument("--refused", type=int, default=REFUSED, help="keys after which there is no figure")
    parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
    parser.add_argument("--finest", type=int, help="spectral: finest waves, as DCT coefficient 7 to 9")
    parser.add_argument("--out", type=Path, default=Path("structure-auc"))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--families", nargs="*", default=list(families()), choices=list(families()))
    options = parser.parse_args()
    changes = {"finest": options.finest} if options.finest else {}
    options.out.mkdir(parents=True, exist_ok=True)
    heads = (
        "files",
        "family",
        "marked + others",
        "AUC",
        f"at most {BOUND}",
        *list(TRIALS)[1:],
        "larger than 99 %",
        "strongest by itself",
    )
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in options.sets:
        files: Set | None = None
        for family in options.families:
            title = f"{name} {family} {options.preset} {options.each}"
            title += f" of {options.files}" * (options.files != 4) + f" {options.keys} keys" * (options.keys > 1)
            title += f" finest {options.finest}" * bool(options.finest) + f" from {options.first_key}" * (
                options.first_key > 0
            )
            kept = options.out / f"{title}.json".replace(",", "").replace(" ", "-")
            if not kept.exists():
                files = files or Set(files_of(name, options.files * options.each), options.each)
                try:
                    draw = Draw(options.keys, options.first_key, options.refused)
                    told = row(files, mark_of(family, options.preset, **changes), draw)
                except EmbeddingError as error:
                    told = {"refused": f"{options.refused} keys refused; the last: {error.sentence}"}
                except InspectionError as error:  # hardly a file of this kind bears a mark
                    told = {"refused": error.sentence}
                write_whole(kept, lambda draft, told=told: draft.write_text(json.dumps(told)))
            print(line(name, family, json.loads(kept.read_text())), flush=True)


if __name__ == "__main__":
    main()
