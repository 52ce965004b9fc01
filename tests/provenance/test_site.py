"""What every page shows: the demo's banner, the navigation of a role, the chosen colours, where one is."""

import re

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db


def navigation(client, address="/") -> list[str]:
    shown = client.get(address).content.decode()
    return re.findall(r"<li><a href=\"[^\"]*\"(?: aria-current=\"page\")?>([^<]*)</a></li>", shown)


def test_a_demo_says_so_on_every_page_and_at_the_door(world, sign_in, client, settings):
    assert "Demo instance." not in client.get(reverse("sign_in")).content.decode()
    settings.DEMO_FILE.parent.mkdir(parents=True, exist_ok=True)
    settings.DEMO_FILE.write_text("{}")
    assert "Demo instance." in client.get(reverse("sign_in")).content.decode()
    assert "Demo instance." in sign_in(world.legal).get(reverse("log_list")).content.decode()


def test_everybody_sees_the_pages_of_their_roles(world, sign_in):
    assert navigation(sign_in(world.administrator)) == ["Overview", "Calibration", "Evidence log", "People", "Status"]
    assert "Keys" in navigation(sign_in(world.rights_holder))
    assert "Keys" not in navigation(sign_in(world.auditor))
    assert "People" not in navigation(sign_in(world.auditor))


@pytest.mark.parametrize(("cookie", "attribute"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"')])
def test_chosen_colours_are_in_the_first_byte(world, sign_in, cookie, attribute):
    client = sign_in(world.legal)
    client.cookies["theme"] = cookie
    assert f'<html lang="en"{attribute}>' in client.get("/").content.decode()


def test_a_made_up_theme_is_ignored(world, sign_in):
    client = sign_in(world.legal)
    client.cookies["theme"] = "x onload=alert(1)"
    assert '<html lang="en">' in client.get("/").content.decode()


def test_no_page_carries_inline_code(world, sign_in):
    client = sign_in(world.administrator)
    for address in ("/", reverse("people"), reverse("status"), reverse("log_list"), reverse("password_change")):
        shown = client.get(address).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=|[^>]*application/json)", shown), address
        assert not re.search(r"<[^>]+\s(?:style|on[a-z]+)=", shown), address


def test_the_policy_allows_nothing_inline(world, sign_in):
    policy = sign_in(world.legal).get("/")["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self';" in policy + ";"
    assert "unsafe" not in policy
