"""What a page says after a person pressed a button: that it was done, or why not."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from provenance.errors import TouchmarkError


def done_or_refused(request: HttpRequest, act: Callable[[], object], done: str, to: str, **names: Any) -> HttpResponse:
    """Calls `act` and goes to the page `to`, which shows `done` or the sentence with which `act` refused."""
    try:
        act()
    except TouchmarkError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, done)
    return redirect(to, **names)
