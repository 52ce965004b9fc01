"""The style guide: every component with sample data, for those who build pages. Routed in DEBUG only."""

import math
from datetime import datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from provenance.models import Job, User
from provenance.services.access import person
from provenance.services.jobs.cards import JobCard, job_card

STATES = ["queued", "running", "done", "failed", "cancelled", "evidence", "inconclusive", "no evidence", "draft"]
STATES += ["locked", "drawn", "committed", "embedded", "dropped", "silent"]
PIXEL = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
    "%3Cpath fill='%23727c86' d='M0 0h8v8H0z'/%3E%3Cpath fill='%2362c4ba' d='M2 5l2-3 2 3z'/%3E%3C/svg%3E"
)


class SampleForm(forms.Form):
    name = forms.CharField(label="Name", help_text="What people call the dataset.")
    licence = forms.CharField(label="Licence", required=False)
    share = forms.FloatField(label="Share of each group's images", min_value=0, max_value=1, initial=0.05)
    modality = forms.ChoiceField(
        label="Modality", choices=[("images", "images"), ("pairs", "image–text pairs")], widget=forms.RadioSelect
    )
    preset = forms.ChoiceField(choices=[("discreet", "discreet"), ("balanced", "balanced"), ("strong", "strong")])
    notes = forms.CharField(widget=forms.Textarea, required=False)
    declared = forms.BooleanField(label="I declare that this model never saw the release.", help_text="This is logged.")


def styleguide(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    digest = sha256(b"sample").hexdigest()
    rows = [[f"meadows/{n:05}.jpg", f"{n * 37 + 900:,}", "512 × 384"] for n in range(8)]
    context = {
        "states": STATES,
        "file_columns": ["Path", "Bytes", "Size"],
        "file_rows": rows,
        "page": Paginator(range(60_000), 50).get_page(request.GET.get("page", 3)),
        "facts": [("Files", "60,000"), ("Refused", "12"), ("Formats", "JPEG"), ("Licence", None)],
        "sample_digest": digest,
        "moment": now - timedelta(minutes=7),
        "small_p": 2.8e-7,
        "smaller_p": 2.7e-7,
        "entries": [
            SimpleNamespace(at=now, text="Audit finished", who="Adam", tone="good", digest=digest),
            SimpleNamespace(at=now - timedelta(hours=2), text="Plan locked", who="Adam", tone="busy"),
            SimpleNamespace(at=now - timedelta(days=3), text="Key committed", who="Rosa", tone=""),
        ],
        "form": SampleForm({"licence": "CC BY 4.0", "share": "3"}),
        "cards": _cards(person(request), now),
        "names": ["meadow", "harbour", "forest", "night", "desert"],
        "triptych": ["Original", "Marked", "Difference × 8"],
        "sample_image": PIXEL,
        **_charts(),
    }
    return render(request, "styleguide.html", context)


def _cards(viewer: User, now: datetime) -> list[JobCard | None]:
    shared = {"kind": "dataset.manifest", "queue": "cpu", "created_by": viewer, "subject_label": "Meadows"}
    begun = {"started_at": now - timedelta(minutes=3), "heartbeat_at": now - timedelta(seconds=2), "attempt": 1}
    jobs = [
        Job(state="queued", created_at=now - timedelta(seconds=30), **shared),
        Job(state="running", phase="reading files", progress_done=21_000, progress_total=60_000, **shared, **begun),
        Job(state="done", finished_at=now, **shared, **begun),
        Job(
            state="failed",
            finished_at=now,
            reason="The archive ends in the middle of a file.",
            detail="…",
            **shared,
            **begun,
        ),
    ]
    return [job_card(job, viewer) for job in jobs]


def _charts() -> dict[str, Any]:
    edges = [round(-4 + 0.25 * k, 2) for k in range(33)]
    heights = [round(1e5 * math.exp(-edge * edge / 2)) for edge in edges]
    size = 10
    pulls = [
        [(1.0 if (3 * j + 1) % size == g else 0.25 * math.sin(5 * j + 3 * g)) for g in range(size)] for j in range(size)
    ]
    line = {"type": "line", "x0": 5.3, "x1": 5.3, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": "token:bad"}}
    outlines = [
        {"type": "rect", "x0": g - 0.5, "x1": g + 0.5, "y0": j - 0.5, "y1": j + 0.5, "line": {"color": "token:ink"}}
        for j in range(size)
        for g in [(3 * j + 1) % size]
    ]
    return {
        "histogram": {
            "data": [{"type": "bar", "x": edges, "y": heights, "marker": {"color": "token:pewter"}}],
            "layout": {
                "shapes": [line],
                "xaxis": {"title": {"text": "statistic"}},
                "yaxis": {"title": {"text": "assignments"}},
            },
        },
        "bars": {
            "data": [
                {"type": "bar", "name": name, "x": ["features", "soft", "hard"], "y": values}
                for name, values in (("suspect", [0.4, 0.3, 0.2]), ("reference", [0.1, 0.12, 0.05]))
            ],
            "layout": {"yaxis": {"title": {"text": "density gain"}}},
        },
        "heatmap": {
            "data": [{"type": "heatmap", "z": pulls, "zmid": 0, "colorscale": "token:diverging"}],
            "layout": {
                "shapes": outlines,
                "xaxis": {"title": {"text": "group"}},
                "yaxis": {"title": {"text": "pattern"}},
            },
        },
        "chart_columns": ["Statistic", "Assignments"],
        "chart_rows": [[edge, f"{height:,}"] for edge, height in zip(edges, heights, strict=True)],
    }
