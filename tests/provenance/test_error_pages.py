"""Error pages say what to do, in the product's own look."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import Client
from django.urls import path, reverse

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as product

__all__ = ["handler400", "handler403", "handler404", "handler500"]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def refuse(request):
    raise PermissionDenied("Only an auditor of Aster Archive may do this.")


def suspect(request):
    raise SuspiciousOperation("odd header")


def crash(request):
    raise RuntimeError("the database is on fire")


urlpatterns = [path("refuse/", refuse), path("suspect/", suspect), path("crash/", crash), *product]


def page(user, sign_in, address, status):
    client = sign_in(user)
    client.raise_request_exception = False
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def test_403_names_the_role_that_is_missing_and_who_is_signed_in(world, sign_in):
    shown = page(world.legal, sign_in, "/refuse/", 403)
    assert "Only an auditor of Aster Archive may do this." in shown
    assert "Lena" in shown


def test_404_says_whom_to_ask(world, sign_in):
    assert "grant it to you" in page(world.legal, sign_in, "/nothing/here/", 404)


def test_400_says_that_nothing_was_changed(world, sign_in):
    assert "Nothing was changed" in page(world.legal, sign_in, "/suspect/", 400)


def test_500_tells_nothing_of_the_inside(world, sign_in):
    shown = page(world.legal, sign_in, "/crash/", 500)
    assert "on fire" not in shown
    assert "tell your administrator" in shown


def test_a_form_without_its_token_is_explained(world):
    answer = Client(enforce_csrf_checks=True).post(reverse("sign_in"), {"username": "rosa", "password": "x"})
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()
