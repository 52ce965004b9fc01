"""What pages, commands and JSON say of tables of robustness."""

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from audits.judging.bases import Basis
from audits.models import Robustness
from audits.robustness.settings import RobustnessSettings, in_pool
from audits.robustness.table import Line, RobustnessTable, rows_so_far, table_of, tabulated
from audits.services.robustness.starting import Wanted
from audits.services.trainings.shown import network
from provenance.marks import WithheldSettings
from provenance.wording import count, percent

STAGES = {"copy": "the copy", "training": "the training", "model": "the model"}
NAME_WIDTH = 30  # letters in a line of an attack's name, so that a narrow screen has room for the shares
APART = 0.15  # of an attack's row, from one level to the next
COLOURS: dict[Basis, str] = {
    "features": "token:accent",
    "features / caption": "token:ink",
    "features / omnibus": "token:pewter",
    "soft": "token:muted",
    "hard": "token:warn",
}


@dataclass(frozen=True)
class Cost:
    """trainings: whole ones; rows: lines of all trials; seen: images that trainings go through, every epoch anew.

    asked: images about which models are asked for the rank of a plain mark's key.
    """

    trainings: int
    rows: int
    seen: int
    asked: int


def cost(wanted: Wanted) -> Cost:
    """Before anything is queued. Raises as `Wanted.settings` does."""
    settings = wanted.settings
    passes = settings.recipe.epochs * in_pool(settings.images)
    return Cost(settings.trainings, settings.rows, settings.trainings * passes, settings.asked_of_decoys)


def table_by_now(made: Robustness) -> RobustnessTable | None:
    """The finished table, or the rows that are kept so far; None where there is none yet."""
    if made.table:
        return table_of(made.table)
    rows = rows_so_far(made.folder)
    return tabulated(RobustnessSettings.from_json(made.settings), rows) if rows else None


def marks(settings: RobustnessSettings) -> str:
    """The marks in words."""
    mark = settings.mark
    if isinstance(mark, WithheldSettings):
        return f"withheld: {percent(mark.share)} of the images, one of every {mark.block_size}, stay home"
    how = f"plain, among {count(settings.decoys)} decoys" if mark.is_plain else f"{len(mark.groups)} groups"
    return f"{mark.family} on {percent(mark.share)} of the images, {how}"


def facts(made: Robustness) -> list[tuple[str, str]]:
    """The settings in words."""
    settings = RobustnessSettings.from_json(made.settings)
    recipe = settings.recipe
    return [
        ("Marks", marks(settings)),
        ("Images", f"{made.images}: {count(settings.images)}, the owner has {count(in_pool(settings.images))}"),
        ("Method", recipe.method.title),
        ("Network", network(recipe)),
        ("Epochs", count(recipe.epochs)),
        ("Trials", f"{count(settings.trials)}, each with a key and seeds of its own"),
        ("References", count(settings.references)),
        ("Alpha", f"{settings.alpha:g}"),
        ("Seed", str(settings.seed)),
        ("Code", made.code_version),
    ]


def lines(table: RobustnessTable) -> list[dict[str, Any]]:
    """Lines of the page's table, each with a cell for every level and score that there are."""
    return [
        {
            "attack": "before any attack" if line.stage is None else line.attack,
            "stage": STAGES.get(line.stage or "", ""),
            "changes": line.changes,
            "why": line.refused or " ".join(line.failed),
            "waiting": not line.trials and not line.refused and not line.failed,
            "images": None if line.images is None else count(round(line.images)),
            "accuracy": None if line.accuracy is None else percent(line.accuracy),
            "powers": [_power(line, basis) for basis in table.bases],
        }
        for line in table.lines
    ]


def _power(line: Line, basis: Basis) -> str:
    power = line.powers.get(basis)
    if power is None:
        return "–"
    median = f"{power.median_z:z.1f}".replace("-", "−")
    return f"{power.found} of {power.trials} · z {median}"


def chart(table: RobustnessTable) -> dict[str, Any]:
    """Share of trials that were found, with its interval, by attack and level, for the chart component.

    Levels of an attack lie below one another, for equal shares would hide each other.
    """
    shown = [line for line in table.lines if line.powers]
    names = ["before any attack" if line.stage is None else line.attack for line in shown]
    traces = []
    for at, basis in enumerate(table.bases):
        beside = APART * (at - (len(table.bases) - 1) / 2)
        places = [(row + beside, line.powers[basis]) for row, line in enumerate(shown) if basis in line.powers]
        shares = [power.share for _, power in places]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": basis,
                "x": shares,
                "y": [place for place, _ in places],
                "text": [names[round(place - beside)] for place, _ in places],
                "marker": {"color": COLOURS[basis], "size": 9},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [power.high - power.share for _, power in places],
                    "arrayminus": [power.share - power.low for _, power in places],
                    "color": COLOURS[basis],
                    "thickness": 1,
                },
            }
        )
    layout = {
        "showlegend": True,
        "xaxis": {"title": {"text": "found"}, "range": [-0.02, 1.02], "tickformat": ".0%"},
        "yaxis": {
            "range": [len(names) - 0.5, -0.5],
            "automargin": True,
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": ["<br>".join(wrap(name, NAME_WIDTH)) for name in names],
            "tickfont": {"size": 10},
        },
    }
    return {"figure": {"data": traces, "layout": layout}}


def as_json(made: Robustness) -> dict[str, Any]:
    """For machines: the settings, the lines and every row."""
    table = table_by_now(made)
    return {
        "id": str(made.pk),
        "state": made.state,
        "images": made.images,
        "code_version": made.code_version,
        "finished_at": made.finished_at.isoformat() if made.finished_at else None,
        "table": None if table is None else table.to_json(),
    }
