from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator

from provenance.models import Organisation, Role


class RolesForm(forms.Form):
    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=[
            (Role.RIGHTS_HOLDER, "rights-holder: registers datasets, draws keys, makes releases"),
            (Role.AUDITOR, "auditor: registers models, plans and runs audits"),
            (Role.LEGAL, "legal: reads audits, issues and downloads reports"),
            (Role.ADMINISTRATOR, "administrator: looks after people and the machine"),
        ],
        widget=forms.CheckboxSelectMultiple,
    )


class MemberForm(RolesForm):
    username = forms.CharField(
        label="Username",
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        help_text="What the person signs in with. Somebody who has an account here already keeps their password.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    full_name = forms.CharField(
        label="Full name",
        max_length=200,
        required=False,
        help_text="As it should stand in the evidence log and in reports. Ignored for somebody who has an account.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ["username", "full_name", "roles"]


class OrganisationForm(forms.ModelForm):
    class Meta:
        model = Organisation
        fields = ["name", "contact"]
        help_texts = {"contact": "Stands in evidence reports: an address, an e-mail address, a telephone number."}


class ContactForm(forms.ModelForm):
    class Meta:
        model = Organisation
        fields = ["contact"]
        help_texts = {"contact": "Stands in evidence reports: an address, an e-mail address, a telephone number."}
