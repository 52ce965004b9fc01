"""The order to make blocks of a version; its page lists them, and the release form chooses from them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from provenance.errors import TouchmarkError
from provenance.forms.keyed_choices import BlockRuleForm
from provenance.models import Role, Version
from provenance.services.access import get_visible, person, require
from provenance.services.blockings import order_blocks, with_signs
from provenance.views.versions import version_page


@require_POST
def version_blocks(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    version = get_visible(Version, user, pk)
    require(user, version.dataset.organisation, Role.RIGHTS_HOLDER)  # before anything is said about the rule
    form = BlockRuleForm(request.POST, version=version)
    if form.is_valid():
        try:
            order_blocks(version, with_signs(version, form.cleaned_data["rule"]), by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            return redirect("version_detail", pk=version.pk)
    return version_page(request, version, form)
