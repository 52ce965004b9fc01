"""The digests that a report names, as text."""

from audits.report.facts import ReleaseFacts, ReportFacts
from provenance.wording import count

Pairs = list[list[str]]


def _files_of_settings(release: ReleaseFacts) -> Pairs:
    """The files that say which cluster each image belongs to, of the sets whose groups are clusters, and which images
    have a near-duplicate, where these are left out.
    """
    sets = list(enumerate(release.mark_sets, 1))
    blocks = [[f"{release.label}: file of blocks", one["blocking"]] for _, one in sets if "blocking" in one]
    left_out = sets[0][1].get("near_duplicates") if sets else None
    near = [[f"{release.label}: file of near-duplicates", left_out]] if left_out else []
    return (
        near
        + blocks
        + [
            [
                f"{release.label}: file of clusters{f', mark set {number}' if len(sets) > 1 else ''}",
                settings["clusters"],
            ]
            for number, settings in sets
            if settings.get("clusters")
        ]
    )


def digests_view(facts: ReportFacts) -> Pairs:
    """Every digest of the report with what it is of."""
    rows = [
        ["Facts of this report (JSON)", facts.digest],
        [f"Root of the dataset, version {facts.dataset.version}", facts.dataset.root],
    ]
    for release in facts.releases:
        rows += [
            [
                f"{release.label}: root of the {'copy' if release.blocks and not release.marked else 'marked copy'}",
                release.root,
            ],
            [f"{release.label}: commitment", release.commitment],
            [f"{release.label}: beacon", release.beacon],
            *([[f"{release.label}: probes", release.probes_digest]] if release.probes_digest else []),
            *_files_of_settings(release),
        ]
    rows += [["Suspect", facts.suspect.digest]]
    rows += [["Values of the suspect's tensors", facts.suspect.tensors]] if facts.suspect.tensors else []
    rows += [[f"Reference “{ref.name}”", ref.digest] for ref in facts.references]
    rows += [["Plan", facts.plan.digest]]
    held = facts.plan.held_out
    rows += [[f"Root of the held-out images, {held.name}, version {held.version}", held.root]] if held else []
    rows += [["Nonce of the run (random, no digest)", facts.run.nonce]] if facts.run.nonce else []
    rows += [[f"Evidence log of {log.organisation}, row {count(log.head_seq)}", log.head] for log in facts.logs]
    return rows
