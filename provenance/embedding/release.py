"""Embedding: from a version and a secret to the tree of one release (docs/method.md, section 2.5).

What a release's folder holds: docs/architecture.md, "What lies on disk". The bytes of everything in it follow from
manifest, files, key, beacon and settings alone.
"""

import hashlib
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from provenance.canonical import canonical_json
from provenance.embedding.at_home import AtHome
from provenance.embedding.beside import BesideFile, place_beside
from provenance.embedding.carried import without_claims
from provenance.embedding.claimed import Claimed
from provenance.embedding.comparison import Comparison, FeaturesOf
from provenance.embedding.errors import EmbeddingError
from provenance.embedding.marked import Marker, bare_error
from provenance.embedding.placing import Expected, SourceTree, changed_error, put_in_place, safe_target
from provenance.embedding.summary import release_facts, version_facts
from provenance.embedding.trying import Outcome, Strikes, StruckMarks, Trier
from provenance.embedding.versions import NoComparison, PublishedVersions, few_versions_error, write_versions
from provenance.embedding.zip_layout import ZipLayout
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.writing import ManifestWriter
from provenance.marks import (
    ALL_IMAGES,
    MarkSecret,
    MarkSets,
    MarkSettings,
    VersionSecret,
    candidates_of_sets,
    plan_marks,
)
from provenance.marks.cluster_files import grouped_entries
from provenance.marks.groups import GroupPlan, plan_from_counts
from provenance.marks.reach import FEWEST_BLOCKS
from provenance.marks.secret import GroupCandidates

BLOCK = 1000  # files of one block of the release's manifest

Progress = Callable[[int, int, str], None]


def embed_release(
    manifest: Manifest,
    files: Path,
    out: Path,
    secrets: Sequence[MarkSecret],
    marks: MarkSets,
    features: FeaturesOf,
    progress: Progress,
    *,
    owned: bool,
    workers: int,
    beside: Sequence[tuple[Path, BesideFile]] = (),
    drop_claims: bool = False,
    at_home: AtHome | None = None,
    versions: VersionSecret | None = None,
) -> dict[str, Any]:
    """Write the release of a version into `out`, or finish one that was interrupted; returns the facts of facts.json.

    files: the version's. secrets: of all struck sets, in order. features: by which marked files are to be like others.
    progress: told (done, total, phase); may raise to stop. owned: see SourceTree. workers: threads. beside: files that
    go along, each with its source. drop_claims: from all files. at_home: what is left out. versions: which pictures
    come in one of two. Raises SourceChangedError, EmbeddingError.
    """
    if tuple(secret.settings for secret in secrets) != marks.struck:
        raise EmbeddingError("The secret was derived for other mark settings than the release is made with.")
    if (at_home is None) != (marks.withheld is None):
        raise EmbeddingError("What stays home does not go with the mark settings that the release is made with.")
    if (versions and versions.settings) != marks.versions:
        raise EmbeddingError("The versions do not go with the mark settings that the release is made with.")
    if not len(manifest):
        raise EmbeddingError("This version has no images, so there is nothing to mark.")
    done = out / "facts.json"
    if done.exists():
        facts: dict[str, Any] = json.loads(done.read_bytes())
        return facts
    tree = SourceTree(Path(files), owned)
    job = _Embedding(
        manifest, tree, Path(out), tuple(secrets), marks, features, progress, drop_claims, at_home, versions
    )
    return job.run(workers, beside)


@dataclass
class _Embedding:
    manifest: Manifest
    tree: SourceTree
    out: Path
    secrets: tuple[MarkSecret, ...]
    marks: MarkSets
    features: FeaturesOf
    progress: Progress
    drop_claims: bool
    at_home: AtHome | None
    versions: VersionSecret | None

    def __post_init__(self) -> None:
        self.in_choice = self.at_home.in_choice if self.at_home else frozenset[int]()
        self.version_candidates = self.versions.candidates(self.manifest) if self.versions else None
        if self.version_candidates:
            self.in_choice = frozenset(one.position for one in self.version_candidates.images)
        self.claimed = Claimed.nothing(len(self.manifest))
        self.mtimes: np.ndarray = np.memmap(self.manifest.folder / "mtimes.bin", dtype="<i8", mode="r")
        self.crcs: np.ndarray = np.memmap(self.manifest.folder / "crc32.bin", dtype="<u4", mode="r")

    def run(self, workers: int, beside: Sequence[tuple[Path, BesideFile]]) -> dict[str, Any]:
        files, work = self.out / "files", self.out / "work"
        files.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        self._check_sources()
        if self.at_home:
            self.at_home.check_copies(self.manifest)
        if self.drop_claims:
            self.claimed = self._find_claims(work / "claims")
        plans = [self._plan(secret.settings) for secret in self.secrets]
        outcomes, unfit = self._mark(plans, files, work, workers)
        versions = self._make_versions(files, work, workers)
        marked = {outcome.position: outcome for own in (*outcomes, versions) for outcome in own if outcome.is_marked}
        self._place_and_list(files, marked)
        self._write_lists(outcomes)
        if self.versions:
            write_versions(versions, self.out)
        left_out = self.at_home.paths(self.manifest) if self.at_home and beside else frozenset[str]()
        placed = [place_beside(source, wanted, files, left_out).to_dict() for source, wanted in beside]
        with Manifest(self.out / "manifest") as written:
            facts = release_facts(written, self.marks, plans, outcomes, unfit)
            facts |= {"withheld": self.at_home.facts()} if self.at_home else {}
            facts |= {"versions": version_facts(versions)} if self.versions else {}
            facts |= {"beside": placed} if placed else {}
            facts |= {"claims_dropped": self.claimed.counts()} if self.drop_claims else {}
            ZipLayout(written, files)  # counts the download's offsets now, not at the first request
        shutil.rmtree(work)
        draft = self.out / "facts.json.draft"
        draft.write_bytes(canonical_json(facts) + b"\n")
        draft.replace(self.out / "facts.json")
        return facts

    def _check_sources(self) -> None:
        """Files may have changed or gone; say so, with all names, before any work is done.

        In the manifest's order: the file that marking would miss first is one of the key's candidates, and whoever may
        read why a job failed may not know these.
        """
        total, changed = len(self.manifest), []
        for start, entries in _blocks(self.manifest, BLOCK):
            self.progress(start, total, "checking the source files")
            for position, entry in enumerate(entries, start):
                if not self.tree.is_unchanged(self._expected(position, entry)):
                    changed.append(entry.path)
        if changed:
            raise changed_error(changed)

    def _find_claims(self, stored: Path) -> Claimed:
        total = len(self.manifest)

        def step(done: int) -> None:
            self.progress(done, total, "looking for claims")

        return Claimed.found(self.manifest, self.tree.root, stored, step)

    def _plan(self, settings: MarkSettings) -> GroupPlan:
        self.progress(0, len(self.manifest), "choosing images")
        if settings.is_plain:
            plan = plan_from_counts((ALL_IMAGES,), [len(self.manifest)], settings.share)
        elif settings.group_by == "class":
            labels: dict[str, int] = self.manifest.facts["labels"]
            counts = [labels.get(name, 0) for name in settings.groups]
            plan = plan_from_counts(settings.groups, counts, settings.share, len(self.manifest) - sum(counts))
        else:
            plan = plan_marks(grouped_entries(self.manifest, settings), settings)
        if empty := [group.name for group in plan.groups if not group.images]:
            raise EmbeddingError(f"No image belongs to the group {', '.join(empty[:5])}. Choose other groups.")
        return plan

    def _mark(
        self, plans: list[GroupPlan], files: Path, work: Path, workers: int
    ) -> tuple[list[list[Outcome]], list[list[Mapping[str, int]]]]:
        """What became of every struck set's candidates, and of each group, why other images were none.

        No set depends on what survived of another.
        """
        if not self.secrets:
            return [], []
        counts = [[group.images for group in plan.groups] for plan in plans]
        candidates = candidates_of_sets(self.secrets, self.manifest, counts, self.in_choice)
        taken = self.in_choice.union(c.position for groups in candidates for group in groups for c in group.images)
        self._check_clean(counts, taken)
        total = sum(group.wanted for groups in candidates for group in groups)
        outcomes: list[list[Outcome]] = []
        self.progress(0, total, "marking images")
        for number, (secret, groups) in enumerate(zip(self.secrets, candidates, strict=True)):
            stored = work / "marks" / f"set-{number + 1}" if number else work / "marks"
            before = sum(outcome.is_marked for own in outcomes for outcome in own)
            marker = Marker(
                self._trier(StruckMarks(secret), stored),
                Comparison(self.manifest, secret, groups, self.in_choice, self.features, drops_claims=self.drop_claims),
                *(self.tree, files, stored, self._expected_at),
                alike=bool(secret.settings.copies),
                workers=workers,
                told=partial(self.progress, before, total, "marking images"),
            )
            outcomes.append(self._mark_set(plans[number], groups, marker, before, total))
        return outcomes, [[group.unfit for group in groups] for groups in candidates]

    def _trier(self, strikes: Strikes, stored: Path) -> Trier:
        return Trier(
            *(strikes, self.tree, stored / "tried", self._expected_at, self._short_edge_at),
            drop_claims=self.drop_claims,
            becomes_copy=self.claimed.becomes_copy,
        )

    def _make_versions(self, files: Path, work: Path, workers: int) -> list[Outcome]:
        """What became of the files that are to come in one of two versions; exact copies are written alike."""
        if self.versions is None or self.version_candidates is None:
            return []
        candidates, stored, doing = self.version_candidates, work / "versions", "making versions"
        marker = Marker(
            self._trier(PublishedVersions(self.versions), stored),
            NoComparison(),
            *(self.tree, files, stored, self._expected_at),
            alike=True,
            workers=workers,
            told=partial(self.progress, 0, candidates.wanted, doing),
        )
        outcomes: list[Outcome] = []
        for block in marker.mark([candidates]):
            outcomes += block
            self.progress(len(outcomes), candidates.wanted, doing)
        if len({outcome.old_sha256 for outcome in outcomes if outcome.is_marked}) < FEWEST_BLOCKS:
            raise few_versions_error(outcomes)
        return outcomes

    def _check_clean(self, counts: list[list[int]], taken: frozenset[int]) -> None:
        """An audit compares with clean images of every group, and asks about others: the marks must leave some."""
        several = len(self.secrets) > 1
        these = "The mark sets together" if several else "These marks"
        for secret, images in zip(self.secrets, counts, strict=True):
            grouping, entries = secret.settings.grouping(), grouped_entries(self.manifest, secret.settings)
            groups = Counter(grouping.group_of(entries.entry(position)) for position in taken)
            if short := [group for group, count in enumerate(images) if groups[group] >= count]:
                name = (secret.settings.groups or (ALL_IMAGES,))[short[0]]
                remedy = "Use fewer sets or larger groups." if several else "Lower the share, or mark more images."
                raise EmbeddingError(f"{these} would leave no clean image of {name}. {remedy}")

    def _mark_set(
        self, plan: GroupPlan, groups: list[GroupCandidates], marker: Marker, before: int, total: int
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        done = [0] * len(groups)
        for block in marker.mark(groups):
            outcomes += block
            for outcome in block:
                done[outcome.group] += outcome.is_marked
            self.progress(min(before + sum(done), total), total, "marking images")
        if bare := [group for group, count in enumerate(done) if not count]:
            raise bare_error([plan.groups[group].name for group in bare], [o for o in outcomes if o.group in bare])
        return outcomes

    def _write_lists(self, outcomes: list[list[Outcome]]) -> None:
        """Which images bear which mark, which could not, and which stay home; the set stands there for several."""
        several = len(outcomes) > 1
        rows = [(n, outcome) for n, own in enumerate(outcomes, 1) for outcome in own]
        marked = sorted((row for row in rows if row[1].is_marked), key=lambda row: row[1].position)
        unmarked = [row for row in rows if not row[1].is_marked]
        for name, listed in (("marked.jsonl", marked), ("unmarked.jsonl", unmarked)):
            with (self.out / name).open("wb") as file:
                for number, outcome in listed:
                    file.write(canonical_json(asdict(outcome) | ({"set": number} if several else {})) + b"\n")
        if self.at_home:
            self.at_home.write(self.manifest, self.out)

    def _place_and_list(self, files: Path, marked: dict[int, Outcome]) -> None:
        """Place all other files but those that stay home, and write the release's manifest, block by block."""
        writer = ManifestWriter(self.out / "manifest")
        if writer.finished:
            return
        total, blocks = len(self.manifest), 0
        folders: set[str] = set()
        for start, entries in _blocks(self.manifest, BLOCK):
            self.progress(start, total, "placing files")
            blocks += 1
            if writer.has_block(blocks - 1):
                continue
            rows = []
            for position, entry in enumerate(entries, start):
                if self.at_home and position in self.at_home:
                    continue
                if position in marked:
                    outcome = marked[position]
                    entry = replace(entry, size=outcome.size, sha256=outcome.new_sha256, mode=outcome.mode)
                    crc = outcome.crc32
                elif position in self.claimed:
                    entry, crc = self._without_claims(position, entry, files)
                else:
                    target = safe_target(str(files), entry.path)
                    folder = target.rpartition("/")[0]
                    if folder not in folders:
                        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - a hot loop
                        folders.add(folder)
                    self.tree.place(self._expected(position, entry), target)
                    crc = int(self.crcs[position])
                rows.append((entry, crc, int(self.mtimes[position])))
            writer.write_block(blocks - 1, rows)
        self.progress(total, total, "writing the manifest")
        writer.finish(blocks).close()

    def _without_claims(self, position: int, entry: Entry, files: Path) -> tuple[Entry, int]:
        """Write an unmarked file that is not as its source; what its manifest says of it, and its CRC-32."""
        expected = self._expected(position, entry)
        data = without_claims(self.tree.read(expected))
        target = safe_target(str(files), entry.path)
        put_in_place(
            data, target, self.out / "work" / "unclaimed.draft", expected.mtime_ns, self.tree.mode_in_copy(expected)
        )
        return replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest()), zlib.crc32(data)

    def _expected(self, position: int, entry: Entry) -> Expected:
        return Expected(entry.path, entry.size, entry.sha256, int(self.mtimes[position]))

    def _short_edge_at(self, position: int) -> int:
        entry = self.manifest.entry(position)
        return min(entry.width, entry.height)

    def _expected_at(self, position: int) -> Expected:
        return self._expected(position, self.manifest.entry(position))


def _blocks(entries: Iterable[Entry], size: int) -> Iterator[tuple[int, list[Entry]]]:
    """(position of the first, entries), `size` at a time."""
    start, stream = 0, iter(entries)
    while block := list(islice(stream, size)):
        yield start, block
        start += len(block)
