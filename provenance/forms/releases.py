from collections.abc import Mapping
from typing import Any, Self

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from provenance.forms.keyed_choices import KeyedChoiceForm
from provenance.forms.marks import MarkForm
from provenance.marks import MarkSets, SettingsError
from provenance.marks.sets import MOST_SETS, AnySettings
from provenance.models import Role, User, Version, WatermarkKey
from provenance.services.near_duplicates import LEAVE_OUT, MARK, NearDuplicatesError, leaving_out
from provenance.services.releases import MAX_RECIPIENTS

HOME = "home"  # the prefix of what stays home
NEAR_DUPLICATES = [
    (LEAVE_OUT, "Leave them out: only images without one are marked"),
    (MARK, "Mark them like all others"),
]


class MarkSetsForm(forms.Form):
    """A version and 1 to 4 mark sets: what the live plan needs.

    `home` is the form of what stays home, `sets` are those of the struck sets, under the prefixes "set-1", "set-2" …;
    `set_count` in the data says how many there are. Valid only where all of them are; then `cleaned_data["marks"]`
    holds their settings.
    """

    version = forms.ModelChoiceField(queryset=Version.objects.none(), empty_label=None)
    drop_claims = forms.BooleanField(
        label="Drop content credentials, gain maps and further pictures from all files of the copy",
        required=False,
        help_text="Marking an image makes them false, so images that carry them stay unmarked. Dropped from all files, "
        "marked or not, they tell nothing, and those images can be marked too. Pictures stay as they are; an XMP "
        "packet that speaks of such a thing is dropped as a whole.",
    )
    near_duplicates = forms.ChoiceField(
        label="Images that have a near-duplicate",
        choices=NEAR_DUPLICATES,
        initial=LEAVE_OUT,
        required=False,
        widget=forms.RadioSelect,
        help_text="Of two images that look alike, the one with a mark gives it away to whoever lays them side by side.",
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, user: User, initial: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.user = user
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]
        source: Mapping[str, Any] = self.initial if data is None else data
        self.shown_version = _shown_version(source, user)
        home = _part_of(self.initial, HOME)
        self.home = KeyedChoiceForm(data, prefix=HOME, initial=home, version=self.shown_version)
        numbers = range(1, _count_of(source) + 1) if self.home.strikes else ()
        self.sets = [
            MarkForm(data, prefix=f"set-{n}", initial=_part_of(self.initial, f"set-{n}"), version=self.shown_version)
            for n in numbers
        ]

    @classmethod
    def kept(cls, data: Mapping[str, Any], user: User) -> Self:
        """The form with everything that was filled in so far, unchecked; with one set more or less if data says so.

        The buttons are called `add_set` (any value) and `remove_set` (the set's number).
        """
        sets = [_part_of(data, f"set-{number}") for number in range(1, _count_of(data) + 1)]
        if "add_set" in data and len(sets) < MOST_SETS:
            sets.append({})
        if len(sets) > 1 and data.get("remove_set") in [str(number) for number in range(1, len(sets) + 1)]:
            del sets[int(data["remove_set"]) - 1]
        initial = {name: data[name] for name in data if name in cls.base_fields or name.startswith(f"{HOME}-")}
        for number, values in enumerate(sets, 1):
            initial |= {f"set-{number}-{name}": value for name, value in values.items()}
        return cls(user=user, initial=initial | {"set_count": len(sets)})

    @property
    def may_add(self) -> bool:
        return self.home.strikes and len(self.sets) + self.home.chooses < MOST_SETS

    @property
    def is_several(self) -> bool:
        return len(self.sets) > 1

    @property
    def has_errors(self) -> bool:
        return bool(self.errors) or any(one.errors for one in (self.home, *self.sets))

    def is_valid(self) -> bool:
        return super().is_valid() and not self.has_errors

    def clean(self) -> dict[str, Any]:
        super().clean()
        if version := self.cleaned_data.get("version"):
            marks = [one.mark(version) for one in self.sets]
            choice = self.home.settings()
            if all(marks) and not self.home.errors:
                chosen = tuple(one for one in (*marks, choice) if one is not None)
                self._take(version, chosen)
        return self.cleaned_data

    def _take(self, version: Version, chosen: tuple[AnySettings, ...]) -> None:
        try:
            marks = MarkSets(chosen)
        except SettingsError as error:  # more sets than a release may have
            self.add_error(None, error.sentence)
        else:
            self.cleaned_data["marks"] = self.on_chosen_images(version, marks)

    def on_chosen_images(self, version: Version, marks: MarkSets) -> MarkSets:
        """What is to be marked; while near-duplicates are being counted the plan is shown with them."""
        if self["near_duplicates"].value() == MARK:
            return marks
        try:
            return leaving_out(version, marks)
        except NearDuplicatesError as error:
            self.not_counted(error.sentence)
            return marks

    def not_counted(self, sentence: str) -> None:
        """Called where near-duplicates are to be left out and nobody knows yet which images have one."""


class ReleaseForm(MarkSetsForm):
    recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=f"One a line, at most {MAX_RECIPIENTS}. Each gets a release with a key of its own, so that an audit "
        "can say whose copy leaked.",
    )
    note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    key = forms.ModelChoiceField(
        queryset=WatermarkKey.objects.none(),
        required=False,
        empty_label="Draw a new key for each release",
        help_text="A key that was drawn before can mark one release.",
    )

    field_order = ("version", "recipients")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        drawn = WatermarkKey.objects.filter(state=WatermarkKey.State.DRAWN, version__in=markable_versions(user))
        self.fields["key"].queryset = drawn.select_related("version__dataset")  # type: ignore[attr-defined]
        if not drawn.exists():
            self.fields["key"].widget = forms.HiddenInput()

    def not_counted(self, sentence: str) -> None:
        self.add_error("near_duplicates", sentence)

    def recipient_names(self) -> list[str]:
        return [line for line in self.cleaned_data["recipients"].splitlines() if line.strip()]


class DrawForm(forms.Form):
    version = forms.ModelChoiceField(queryset=Version.objects.none(), empty_label=None)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]


class DropForm(forms.Form):
    reason = forms.CharField(
        label="Why is it dropped?", max_length=300, help_text="The reason stays with the key, for everybody to see."
    )


def markable_versions(user: User) -> QuerySet[Version]:
    """Ready versions of the organisations in which the person is a rights-holder."""
    own = user.organisations(Role.RIGHTS_HOLDER)
    return Version.objects.ready().filter(dataset__organisation__in=own).select_related("dataset")


def _shown_version(source: Mapping[str, Any], user: User) -> Version | None:
    """The version that the form's list of versions shows as chosen: its first where none was named."""
    wanted = str(source.get("version") or "")
    return markable_version(wanted, user) if wanted else markable_versions(user).first()


def _count_of(source: Mapping[str, Any]) -> int:
    """How many mark sets the form has: one, unless it says otherwise."""
    count = str(source.get("set_count") or "1")
    return min(max(int(count), 1), MOST_SETS) if count.isdecimal() and len(count) < 4 else 1


def _part_of(source: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What the form says of one set, or of what stays home, without the prefix."""
    start = f"{prefix}-"
    return {name.removeprefix(start): source[name] for name in source if name.startswith(start)}


def markable_version(wanted: str, user: User) -> Version | None:
    """The version with this id, where it is the person's to mark; the form's other fields need not be in order."""
    try:
        return markable_versions(user).filter(pk=wanted).first() if wanted else None
    except ValidationError:
        return None
