from typing import Any

from django import forms

from provenance.errors import TouchmarkError
from provenance.models import Dataset, Organisation, Role, Upload, User, Version
from provenance.services.access import get_visible
from provenance.services.datasets import VersionSource, resolve_server_path, server_roots


class SourceForm(forms.Form):
    """Where the files of a version come from. The archive itself travels through the upload pages, not here."""

    upload = forms.UUIDField(required=False, widget=forms.HiddenInput)
    server_path = forms.CharField(
        label="Folder or archive on the server",
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    labels = forms.ChoiceField(
        label="Labels",
        choices=[
            (Version.Labels.NONE, "No labels"),
            (Version.Labels.FOLDER, "The first folder of each path is its class, as in cat/001.jpg"),
            (Version.Labels.LAST_FOLDER, "The last folder of each path is its class, as in train/cat/001.jpg"),
            (Version.Labels.CSV, "A CSV file with a column path, and label or caption or both"),
        ],
        initial=Version.Labels.NONE,
        widget=forms.RadioSelect,
    )
    labels_file = forms.CharField(
        label="Name of the CSV file",
        required=False,
        initial="labels.csv",
        max_length=1000,
        help_text="Its path inside the archive or folder. Only read when you chose the CSV above.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if server_roots():
            roots = ", ".join(map(str, server_roots()))
            self.fields["server_path"].help_text = f"Instead of an upload; read where it is. Open to you: {roots}"
        else:
            del self.fields["server_path"]

    def clean_server_path(self) -> str:
        text: str = self.cleaned_data["server_path"].strip()
        if text:
            try:
                resolve_server_path(text)
            except TouchmarkError as error:
                raise forms.ValidationError(error.sentence) from error
        return text

    def clean(self) -> dict[str, Any]:
        super().clean()
        values = self.cleaned_data
        if not values.get("upload") and not values.get("server_path") and "server_path" not in self.errors:
            either = " or name a folder on the server" if server_roots() else ""
            self.add_error(None, f"Choose an archive to upload{either}.")
        return values

    def source(self) -> VersionSource:
        """What the services want to know; raises Http404 for an upload of somebody else."""
        values = self.cleaned_data
        upload = get_visible(Upload, self.user, values["upload"]) if values.get("upload") else None
        return VersionSource(
            upload=upload,
            server_path="" if upload else values.get("server_path", ""),
            labels=Version.Labels(values["labels"]),
            labels_file=values["labels_file"].strip(),
        )


class DatasetForm(SourceForm):
    organisation = forms.ModelChoiceField(queryset=Organisation.objects.none(), empty_label=None)
    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    modality = forms.ChoiceField(choices=Dataset.Modality.choices, label="What it holds")
    licence = forms.CharField(
        max_length=200, required=False, help_text="The terms under which the images may be used; stands in reports."
    )
    contact = forms.CharField(
        max_length=300, required=False, help_text="Whom to ask about the rights; stands in reports."
    )
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    field_order = ["organisation", "name", "modality", "licence", "contact", "description", "upload", "server_path"]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        field = self.fields["organisation"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - narrows the type
        field.queryset = user.organisations(Role.RIGHTS_HOLDER)
        if field.queryset.count() == 1:
            field.initial = field.queryset.get()
            field.widget = forms.HiddenInput()


class GiveUpForm(forms.Form):
    reason = forms.CharField(
        label="How was it lost?",
        max_length=300,
        help_text="The reason stays with the version and in the log.",
    )


class GrantForm(forms.Form):
    username = forms.CharField(
        label="User name of the auditor",
        max_length=150,
        help_text="An auditor of another organisation. They will see this dataset and may plan audits on it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
