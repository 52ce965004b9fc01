"""The order to make blocks of a version; its page lists them, and the release form chooses from them."""

from collections.abc import Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from provenance.errors import TouchmarkError
from provenance.forms.withheld import BlockRuleForm
from provenance.models import Role, Version
from provenance.services.access import get_visible, person, require
from provenance.services.blockings import order_blocks, with_signs


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
            messages.error(request, error.sentence)
    else:
        messages.error(request, " ".join(_told(form)))
    return redirect("version_detail", pk=version.pk)


def _told(form: BlockRuleForm) -> Iterator[str]:
    """Every error with the name of its field: the page shows them far from the form."""
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        yield from (f"{label}: {error}" if label else str(error) for error in errors)
