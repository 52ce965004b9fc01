"""Every URL of the resolver, as anonymous, as each role, and as a member of another organisation."""

import importlib
import pkgutil

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.urls import URLPattern, get_resolver, reverse

import tests.permissions as tables
from tests.permissions.access import Access
from tests.world import World

pytestmark = pytest.mark.long


def url_names() -> set[str]:
    names: set[str] = set()

    def walk(patterns) -> None:
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                assert pattern.name, f"{pattern} has no name, so no test can ask who may open it"
                names.add(pattern.name)
            else:
                walk(pattern.url_patterns)

    walk(get_resolver().url_patterns)
    return names


def access_table() -> dict[str, Access]:
    table: dict[str, Access] = {}
    for module in pkgutil.iter_modules(tables.__path__):
        lines = getattr(importlib.import_module(f"tests.permissions.{module.name}"), "ACCESS", {})
        assert not table.keys() & lines.keys(), f"{module.name} lists a URL that another table lists too"
        table.update(lines)
    return table


def test_every_url_is_listed():
    assert url_names() == set(access_table())


@pytest.mark.parametrize("name", sorted(access_table()))
@pytest.mark.django_db
def test_who_gets_an_answer(name, sign_in, client):
    access = access_table()[name]
    world = World()
    url = reverse(name, kwargs=access.kwargs(world))
    for who in ("anonymous", *World.PEOPLE):
        with transaction.atomic():  # what one person changes, the next does not find
            browser = client if who == "anonymous" else sign_in(getattr(world, who))
            response = getattr(browser, access.method)(url, access.data(world))
            transaction.set_rollback(True)
        check(access, who, response, f"{access.method.upper()} {url} as {who}: {response.status_code}")


def check(access: Access, who: str, response: HttpResponse, told: str) -> None:
    if who == "anonymous" and not access.public:
        assert response.status_code == 302, told
        assert response["Location"].startswith(reverse("sign_in")), told
    elif who == "anonymous" or who in access.allowed:
        assert response.status_code < 400 or response.status_code in access.accepts, told
    else:
        assert response.status_code in (403, 404), told
