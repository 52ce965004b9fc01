import json

import pytest
from django.core.management import call_command

from provenance.models import Organisation, Role, User

pytestmark = pytest.mark.django_db


def answer(capsys, *arguments: str):
    call_command("add_member", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_the_first_administrator_comes_in_by_the_shell(capsys):
    told = answer(capsys, "ada", "--organisation", "Dogwood Press", "--role", "administrator", "--create")
    user = User.objects.get(username="ada")
    assert user.check_password(told["password"])
    assert user.has_role(Organisation.objects.get(name="Dogwood Press"), Role.ADMINISTRATOR)


def test_an_organisation_is_not_made_by_a_slip_of_the_pen(capsys):
    with pytest.raises(SystemExit) as refused:
        answer(capsys, "ada", "--organisation", "Dogwod Press", "--role", "legal")
    assert refused.value.code == 1
    assert "--create" in json.loads(capsys.readouterr().out)["error"]
    assert not User.objects.exists()
