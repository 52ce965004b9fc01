"""The forms of keyed choices: whether images stay home or come in two versions, and the rule that makes blocks."""

from typing import Any

from django import forms

from provenance.blocking.rule import BlockingError, BlockRule
from provenance.forms.marks import decimal_input
from provenance.marks import SettingsError, VersionsSettings, WithheldSettings
from provenance.marks.presets import UNTOUCHED, UNTOUCHED_SAYS, VERSIONS_SAYS
from provenance.marks.sets import ChoiceSettings
from provenance.marks.versions import (
    DEFAULT_DECIBELS,
    LEAST_DECIBELS,
    MOST_DECIBELS,
    SHARE_BESIDE_MARKS,
    VERSIONS,
)
from provenance.marks.versions import DEFAULT_SHARE as SHARE_IN_VERSIONS
from provenance.marks.withheld import DEFAULT_BLOCK, DEFAULT_SHARE, MAX_BLOCK, MIN_BLOCK
from provenance.models import Blocking, Clusters, Release, Version
from provenance.near_duplicates.grouping import DISTANCE

STRUCK, BOTH, MARKS_AND_VERSIONS = "struck", "both", "marks-and-versions"
KINDS = [
    (STRUCK, "Marks are struck into some images; all images are in it"),
    (UNTOUCHED, "Untouched: no image is changed; the key picks some that stay home"),
    (BOTH, "Both: marks in some images, and others stay home"),
    (VERSIONS, "Versions: pictures come in one of two faint versions, between which the key picks"),
    (MARKS_AND_VERSIONS, "Marks in some images, and others come in one of two versions"),
]
_WITHHOLDS, _VERSIONS = (UNTOUCHED, BOTH), (VERSIONS, MARKS_AND_VERSIONS)
_FIELDS_OF = {_WITHHOLDS: ("blocking", "share", "outlets"), _VERSIONS: ("versions_share", "decibels")}


class KeyedChoiceForm(forms.Form):
    """What makes the copy its own. It has the fields of what was chosen alone.

    version: the one that is released, whose blocks can be chosen; None where none is chosen yet.
    """

    kind = forms.ChoiceField(
        label="What makes the copy its own", choices=KINDS, initial=STRUCK, required=False, widget=forms.RadioSelect
    )
    blocking = forms.ModelChoiceField(
        queryset=Blocking.objects.none(),
        label="Blocks",
        empty_label=None,
        help_text="In every block that is used, the key picks one unit that stays home.",
        error_messages={"invalid_choice": "These blocks are those of another version; choose blocks of this one."},
    )
    share = forms.FloatField(
        label="Share of all images that stays home, in per cent",
        required=False,
        min_value=0.01,
        max_value=50,
        widget=decimal_input(),
        help_text=f"{100 * DEFAULT_SHARE:g} where it is empty.",
    )
    outlets = forms.ChoiceField(
        label="Are the images that stay home kept from every other outlet?",
        choices=[
            (Release.Outlets.KEPT, "Yes: nobody outside the house gets them, nor copies of them"),
            (Release.Outlets.ELSEWHERE, "No: some are published elsewhere, or will be"),
            (Release.Outlets.UNKNOWN, "Nobody knows"),
        ],
        widget=forms.RadioSelect,
        help_text="A model that met them elsewhere knows them as well as the published ones: that hides a copy that "
        "was used, and accuses nobody. The answer stands in the log and in the report.",
    )

    versions_share = forms.FloatField(
        label="Share of the images that come in one of two versions, in per cent",
        required=False,
        min_value=0.01,
        max_value=100,
        widget=decimal_input(),
        help_text=f"Where it is empty, {100 * SHARE_IN_VERSIONS:g}, or {100 * SHARE_BESIDE_MARKS:g} beside marks, "
        "which need other images.",
    )
    decibels = forms.FloatField(
        label="PSNR between a version and its source, in dB",
        required=False,
        min_value=LEAST_DECIBELS,
        max_value=MOST_DECIBELS,
        widget=decimal_input(),
        help_text=f"{DEFAULT_DECIBELS:g} where it is empty; the more, the harder to see, and to find.",
    )

    def __init__(self, *args: Any, version: Version | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = self["kind"].value()
        self.chosen: str = given if given in dict(KINDS) else STRUCK
        rows = version.blockings.all() if version else Blocking.objects.none()
        self.has_blocks = rows.exists()
        self.fields["blocking"].queryset = rows  # type: ignore[attr-defined]
        for kinds, names in _FIELDS_OF.items():
            for name in names if self.chosen not in kinds else ():
                del self.fields[name]

    @property
    def says(self) -> str:
        return VERSIONS_SAYS if self.makes_versions else UNTOUCHED_SAYS

    @property
    def strikes(self) -> bool:
        """Whether marks are struck."""
        return self.chosen not in (UNTOUCHED, VERSIONS)

    @property
    def withholds(self) -> bool:
        return self.chosen in _WITHHOLDS

    @property
    def makes_versions(self) -> bool:
        return self.chosen in _VERSIONS

    @property
    def chooses(self) -> bool:
        """Whether the key chooses what stays home: images, or versions of pictures."""
        return self.withholds or self.makes_versions

    def settings(self) -> ChoiceSettings | None:
        """The keyed choice, of a form that was asked for its errors; None where none is wanted, or not like this."""
        if not self.chooses or self.errors:
            return None
        return self._versions() if self.makes_versions else self._withheld()

    def _versions(self) -> VersionsSettings:
        share, decibels = self.cleaned_data["versions_share"], self.cleaned_data["decibels"]
        usual = SHARE_BESIDE_MARKS if self.strikes else SHARE_IN_VERSIONS
        return VersionsSettings(
            usual if share is None else share / 100, DEFAULT_DECIBELS if decibels is None else decibels
        )

    def _withheld(self) -> WithheldSettings | None:
        row, share = self.cleaned_data["blocking"], self.cleaned_data["share"]
        try:
            return WithheldSettings(row.digest, row.block_size, DEFAULT_SHARE if share is None else share / 100)
        except SettingsError as error:
            self.add_error("share", error.sentence)
            return None


class BlockRuleForm(forms.Form):
    """The public rule by which images become blocks."""

    block_size = forms.IntegerField(
        label="Alternatives of a block",
        initial=DEFAULT_BLOCK,
        min_value=MIN_BLOCK,
        max_value=MAX_BLOCK,
        help_text="One of them stays home; 4 is usual.",
    )
    distance = forms.IntegerField(
        label="Near-duplicates: bits in which hashes may differ",
        initial=DISTANCE,
        min_value=0,
        max_value=DISTANCE,
        help_text=f"Of 256; {DISTANCE} is usual. Near-duplicates stay home together or go out together.",
    )
    unit_column = forms.CharField(
        label="Column of the CSV that says what stays together",
        required=False,
        max_length=200,
        help_text="A burst, a video, a person.",
    )
    folder_level = forms.IntegerField(
        label="Folder levels below which everything stays together",
        required=False,
        min_value=1,
        max_value=32,
        help_text="Leave it empty where folders say nothing.",
    )

    clusters = forms.ModelChoiceField(
        queryset=Clusters.objects.none(),
        label="Clusters within which blocks are made",
        required=False,
        empty_label="None: within classes alone",
        to_field_name="digest",
        help_text="What an encoder found to look alike; images of a block are then near each other in its features.",
    )

    def __init__(self, *args: Any, version: Version, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = version.clusters.all()
        self.fields["clusters"].queryset = rows  # type: ignore[attr-defined]
        if not rows.exists():
            del self.fields["clusters"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors:
            try:
                chosen = {name: value for name, value in values.items() if value not in (None, "")}
                if clusters := values.get("clusters"):
                    chosen["clusters"] = clusters.digest
                values["rule"] = BlockRule(**chosen)
            except BlockingError as error:
                self.add_error(None, error.sentence)
        return values
