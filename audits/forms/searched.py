"""A choice among many rows: the page shows the first that fit what is searched for, and the one that was chosen."""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

SHOWN = 20


@dataclass(frozen=True)
class Row:
    """One that can be chosen; the one without a value stands for none of them."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Found:
    """What the page shows. total: how many rows there are to search in; is_cut: more fit than are shown."""

    rows: tuple[Row, ...]
    total: int
    text: str
    is_cut: bool

    @property
    def is_searched(self) -> bool:
        """Whether there are more than can be shown at once."""
        return self.total > SHOWN


class SearchedField(forms.ModelChoiceField):
    """searched: the lookups in which every word of a search must stand. The words of `empty_label` stand for none."""

    widget = forms.RadioSelect

    def __init__(self, *args: Any, searched: tuple[str, ...], **kwargs: Any) -> None:
        # Django leaves out the empty choice of radio buttons unless they may be blank.
        super().__init__(*args, blank=not kwargs.get("required", True), **kwargs)
        self.searched = searched

    def found(self, chosen: Any, text: str = "") -> Found:
        """The first rows that fit; chosen: a row or its id, kept whether or not it fits."""
        every: QuerySet[Any] = self.queryset  # type: ignore[assignment]
        fitting = every
        for word in text.split():
            fitting = fitting.filter(reduce(or_, (Q(**{f"{lookup}__icontains": word}) for lookup in self.searched)))
        shown = list(fitting[: SHOWN + 1])
        is_cut, shown = len(shown) > SHOWN, shown[:SHOWN]
        kept = self.row_of(chosen)
        if kept is not None and kept not in shown:
            shown = [kept, *shown]
        rows = [Row(str(row.pk), self.label_from_instance(row), row == kept) for row in shown]
        if self.empty_label:
            rows = [Row("", str(self.empty_label), kept is None), *rows]
        return Found(tuple(rows), every.count(), text.strip(), is_cut)

    def row_of(self, chosen: Any) -> Model | None:
        """The row with this id, if it may be chosen."""
        rows: QuerySet[Any] = self.queryset  # type: ignore[assignment]
        try:
            return rows.filter(pk=getattr(chosen, "pk", chosen)).first() if chosen else None
        except (ValidationError, ValueError):
            return None
