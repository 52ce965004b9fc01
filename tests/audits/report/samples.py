"""Facts for the report's tests: a plain case, and dials for long, hostile and negative ones."""

import hashlib

import numpy as np

from audits.report.facts import (
    Control,
    DatasetFacts,
    DensityScores,
    Histogram,
    Level,
    LogExtract,
    LogLine,
    Party,
    PlanFacts,
    ReferenceFacts,
    ReleaseFacts,
    ReleaseResult,
    ReportFacts,
    Result,
    RunFacts,
    SuspectFacts,
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
    sums = np.random.default_rng(7).normal(0, 0.02, 1_000_000)
    counts, edges = np.histogram(sums, bins=40)
    return Histogram(label, level, True, tuple(edges.tolist()), tuple(counts.tolist()), true)


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
