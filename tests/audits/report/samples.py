"""Facts for the report's tests: a plain case, and dials for long, hostile and negative ones."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np

from audits.report.facts import (
    DatasetFacts,
    HeldOutFacts,
    LogExtract,
    LogLine,
    Party,
    PlanFacts,
    ReferenceFacts,
    ReleaseFacts,
    ReportFacts,
    RestrictionFacts,
    RunFacts,
    SuspectFacts,
)
from audits.report.results import (
    CalibratedTest,
    CalibrationFacts,
    Control,
    DensityScores,
    Histogram,
    Level,
    OtherTest,
    Rate,
    ReleaseResult,
    Result,
)

LEVELS: tuple[Level, ...] = ("features", "soft", "hard")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def release(index: int, recipient: str) -> ReleaseFacts:
    return ReleaseFacts(
        label=f"Release {index + 1}",
        recipient=recipient,
        root=sha(f"root {index}"),
        files=60_000,
        marked=3_012,
        embedded_at=f"2026-05-04T10:{20 + index:02d}:31.204511Z",
        settings={
            "family": "patch",
            "association": "associated",
            "group_by": "class",
            "groups": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
            "share": 0.05,
            "side": 0.25,
            "opacity": 0.6,
        },
        commitment=sha(f"commitment {index}"),
        committed_at=f"2026-05-04T10:{index:02d}:02.000012Z",
        beacon=sha(f"beacon {index}"),
        beacon_source="the server's nonce",
        beacon_at=f"2026-05-04T10:{index:02d}:02.100000Z",
        probes_digest=sha(f"probes {index}"),
        psnr_mean=22.4,
        survival_least=0.81,
    )


def histogram(label: str, level: Level, true: float) -> Histogram:
    edges, counts = bell()
    return Histogram(label, level, True, edges, counts, true)


@cache
def bell() -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges and counts of a million sums."""
    counts, edges = np.histogram(np.random.default_rng(7).normal(0, 0.02, 1_000_000), bins=40)
    return tuple(edges.tolist()), tuple(counts.tolist())


def facts(
    releases: int = 1, evidence: bool = True, name: str = "CIFAR-10 photographs", recipient: str = "Northgate Labs"
) -> ReportFacts:
    made = tuple(release(i, recipient if i == 0 else f"Recipient {i + 1}") for i in range(releases))
    rows: list[ReleaseResult] = []
    scores: list[DensityScores] = []
    histograms: list[Histogram] = []
    controls: list[Control] = []
    for position, item in enumerate(made):
        hit = evidence and position == 0
        for level in LEVELS:
            p = 1.2e-5 if hit else 0.41
            rows.append(
                ReleaseResult(
                    release=item.label,
                    level=level,
                    groups=10,
                    p_without=p * 2,
                    p_with=p,
                    corrected=min(p * releases, 1.0) if level == "features" else None,
                    smallest_p=9.99999e-7,
                    permutations=1_000_000,
                    exact=False,
                    conclusion=("evidence" if hit else "no evidence") if level == "features" else None,
                    primary=level == "features",
                )
            )
            scores += [
                DensityScores(item.label, level, f"{k + 1}", 0.0213 - k / 300, 0.00412, 0.1804, -0.00031)
                for k in range(10)
            ]
            scores.append(DensityScores(item.label, level, "mean", 0.0113, 0.00412, 0.1804, -0.00031, 0.0172))
            histograms.append(histogram(item.label, level, 0.172 if hit else 0.004))
            controls += [
                Control("wrong key drawn for the purpose", "wrong key", item.label, level, 0.63),
                Control("Reference A", "reference", item.label, level, 0.28),
                Control("Reference A", "reference", item.label, level, 0.72, "low"),
                Control("Reference A", "reference left out", item.label, level, 0.31),
            ]
    p = 1.2e-5 if evidence else 0.41
    return ReportFacts(
        number="TM-2026-000017",
        issued_at="2026-05-06T09:00:00.000000Z",
        issued_by=Party("legal", "Meridian Picture Archive", "Ines Okafor"),
        parties=(
            Party("rights-holder", "Meridian Picture Archive", "Ada Lindqvist", "rights@meridian.example"),
            Party("auditor", "Halden Measurement", "Tomás Vega", "audits@halden.example"),
        ),
        dataset=DatasetFacts(
            name=name,
            owner="Meridian Picture Archive",
            licence="Research use only, licence 4.2",
            contact="rights@meridian.example",
            modality="images with classes",
            version=2,
            registered_at="2026-05-04T09:12:44Z",
            files=60_000,
            size=167_251_904,
            root=sha("root"),
            keys_dropped=1,
        ),
        releases=made,
        suspect=SuspectFacts(
            name="northgate-vision-2",
            digest=sha("suspect"),
            access="weights",
            architecture="open_clip:ViT-B-32",
            file="northgate-vision-2.safetensors",
            returns=("features", "soft labels by zero-shot prompts"),
            input_size=(3, 224, 224),
            registered_at="2026-05-05T08:00:00Z",
            registered_by="Tomás Vega",
            size=605_143_884,
        ),
        references=tuple(
            ReferenceFacts(
                name=f"Reference {letter}",
                digest=sha(letter),
                architecture="open_clip:ViT-B-32",
                declaration="Trained before the release was made.",
                declared_by="Tomás Vega",
                declared_at="2026-05-05T08:30:00Z",
            )
            for letter in "AB"
        ),
        plan=PlanFacts(
            digest=sha("plan"),
            locked_at="2026-05-05T09:00:00Z",
            locked_by="Tomás Vega",
            level="features",
            levels=LEVELS,
            statistic="sum of the double-centred pulls under the assignment",
            counted="with references",
            alpha=0.01,
            permutations=1_000_000,
            probes=300,
            code_version="0.1.0 (3f2a91c)",
            stopping_rule="none: every permutation is counted",
            correction="Holm over the plan's releases and earlier runs",
        ),
        run=RunFacts("2026-05-05T09:01:10Z", "2026-05-05T09:04:48Z", 1, 0, "CPU", 11_700),
        result=Result(
            conclusion="evidence" if evidence else "no evidence",
            sentence=(
                "There is evidence that the model depends on Release 1, the copy made for Northgate Labs."
                if evidence
                else "There is no evidence that the model depends on any of the releases tested."
            ),
            p_raw=p,
            p_corrected=min(p * releases, 1.0),
            smallest_p=9.99999e-7,
            corrected_over=releases,
            rows=tuple(rows),
        ),
        scores=tuple(scores),
        histograms=tuple(histograms),
        controls=tuple(controls),
        limitations=(),
        logs=(
            LogExtract(
                organisation="Meridian Picture Archive",
                lines=tuple(
                    LogLine(
                        seq=11 + i,
                        at=f"2026-05-04T{10 + i // 60}:{i % 60:02d}:00Z",
                        actor="Ada Lindqvist",
                        organisation="Meridian Picture Archive",
                        verb=verb,
                        subject=subject,
                        hash=sha(f"row {i}"),
                    )
                    for i, (verb, subject) in enumerate(
                        [
                            ("dataset.registered", f"{name}, version 2"),
                            ("key.drawn", "Key of Release 1"),
                            ("key.committed", "Key of Release 1"),
                            ("release.embedded", "Release 1"),
                            ("plan.locked", "Plan 4"),
                            ("audit.started", "Audit 4"),
                            ("audit.finished", "Audit 4"),
                        ]
                        * releases
                    )
                ),
                entries=412,
                intact=True,
                head_seq=412,
                head=sha("head"),
                checked_at="2026-05-06T09:00:00Z",
            ),
        ),
        code_version="0.1.0 (3f2a91c)",
    )


WHY = "Corrected by Holm's method over 2 primary tests of this suspect (2 levels)."
WHY_SECONDARY = (
    "Corrected by Holm's method over 3 tests, primary and secondary, of this suspect (3 levels). A secondary level "
    "does not decide the conclusion."
)
PAIRED, VIEWS = "Li et al. 2023, arXiv 2209.06015", "Xie et al. 2025, arXiv 2502.07276"


def rate(alpha: float, count: int, share: float) -> Rate:
    return Rate(alpha, count, share, max(share - 0.01, 0.0), share + 0.01, "as often as it should")


def calibration(holds: bool = True) -> CalibrationFacts:
    def line(test: str, level: Level, share: float) -> CalibratedTest:
        return CalibratedTest(test, level, "patch", False, 500, (rate(0.05, 24, share), rate(0.01, 4, share / 5)))

    return CalibrationFacts(
        id="8c0e5f7e-3c43-4b7e-9d46-0b0a4f4a4c11",
        calibrated_at="2026-05-03T10:00:00+00:00",
        code_version="0.1.0 (3f2a91c)",
        audit_code_version="0.1.0 (3f2a91c)",
        same_code=True,
        holds=holds,
        sentence="The tests keep their error rate: over 500 pairs none rejects more often than chance allows."
        if holds
        else "A test does not keep its error rate: “assignment” rejects 20 % of the innocent.",
        others_sentence="From the same answers, “paired t-test” accuses 24 % of these innocent models.",
        pairs=500,
        null_models={"fresh small_resnet": 8, "trained small_resnet": 4},
        families_missing=(),
        rows=(line("assignment", "features", 0.048), line("two secrets combined", "features", 0.05)),
        others=(line("paired t-test", "features", 0.236),),
    )


def with_levels(made: ReportFacts) -> ReportFacts:
    """Two primary levels and a secondary one, a calibration, and what other tests said."""
    rows = []
    for row in made.result.rows:
        primary = row.level != "hard"
        corrected, reason = min(1.0, (row.p_with or 1.0) * (2 if primary else 3)), WHY if primary else WHY_SECONDARY
        rows.append(replace(row, primary=primary, corrected=corrected, together=2 if primary else 3, reason=reason))
    others = [
        OtherTest("Release 1", None, "features", "paired t-test", 3.1e-40, 3000, PAIRED, rate(0.05, 118, 0.236)),
        OtherTest("Release 1", None, "features", "view consistency", 0.21, 64, VIEWS),
    ]
    plan = replace(
        made.plan,
        primary_levels=("features", "soft"),
        series_is_open=True,
        held_out=HeldOutFacts("Photographs never released", 1, sha("held out")),
        correction="the series of runs has no planned end: alpha is spent over all runs to come",
    )
    return replace(
        made,
        plan=plan,
        result=replace(made.result, rows=tuple(rows)),
        other_tests=tuple(others),
        other_tests_left_out=("GMM log-likelihood: The suspect gives the same features to every image.",),
        calibration=calibration(),
    )


def with_sets(made: ReportFacts) -> ReportFacts:
    """The same with two mark sets in the first release, one restricted and one plain."""
    made = with_levels(made)
    one = made.releases[0]
    restricted = dict(one.settings) | {"size_classes": [0] * 5 + [1] * 5, "forbidden": [[0, 3], [7, 9]]}
    plain = {"family": "warp", "association": "plain", "groups": [], "share": 0.02, "bend": 0.04, "periods": 4}
    clustered = restricted | {"group_by": "cluster", "clusters": sha("clusters")}
    release = replace(
        one,
        settings={"sets": [clustered, plain]},
        restrictions=(RestrictionFacts(1, 2, 2, 12_096),),
    )
    rows = []
    for row in made.result.rows:
        if row.release != one.label:
            rows.append(row)
            continue
        rows.append(replace(row, groups=0, permutations=0, test="combined", combined=2))
        bare = replace(row, corrected=None, conclusion=None, primary=False, together=0, reason="")
        rows.append(replace(bare, set=1, test="permutation", permutations=12_096, exact=True))
        rows.append(replace(bare, set=2, test="rank", groups=0, permutations=199))
    histograms = tuple(
        replace(h, set=number, test=test)
        for h in made.histograms
        if h.release == one.label
        for number, test in ((1, "permutation"), (2, "rank"))
    )
    others = tuple(replace(other, set=1 if other.level != "features" else None) for other in made.other_tests)
    paired = replace(made.other_tests[0], set=1)
    plan = replace(
        made.plan,
        test="mixed",
        decoys=199,
        stopping_rule="a level's test ends once 20 decoy keys are at least as extreme as the true one",
        combination="Fisher's method over the mark sets of a release",
    )
    return replace(
        made,
        plan=plan,
        releases=(release, *made.releases[1:]),
        result=replace(made.result, rows=tuple(rows)),
        histograms=histograms,
        scores=tuple(replace(score, set=1) for score in made.scores if score.release == one.label),
        controls=tuple(made.controls) + tuple(replace(c, set=1) for c in made.controls),
        other_tests=(paired, *others[1:]),
    )
