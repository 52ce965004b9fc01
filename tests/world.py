"""Stock people for tests: one organisation with a person per role, a granted auditor elsewhere, and an outsider."""

from provenance.models import Membership, Organisation, Role, User


class World:
    """`owner` is the organisation whose data is at stake; `outsider` holds every role, but elsewhere."""

    PEOPLE = ("rights_holder", "auditor", "legal", "administrator", "guest_auditor", "outsider")

    def __init__(self) -> None:
        self.owner = Organisation.objects.create(name="Aster Archive", contact="archive@aster.example")
        self.laboratory = Organisation.objects.create(name="Birch Laboratory")
        self.elsewhere = Organisation.objects.create(name="Cedar Company")
        self.rights_holder = person("rosa", self.owner, Role.RIGHTS_HOLDER)
        self.auditor = person("adam", self.owner, Role.AUDITOR)
        self.legal = person("lena", self.owner, Role.LEGAL)
        self.administrator = person("arno", self.owner, Role.ADMINISTRATOR)
        # An auditor of another organisation: sees a dataset only once it is granted to them.
        self.guest_auditor = person("gita", self.laboratory, Role.AUDITOR)
        self.outsider = person("otto", self.elsewhere, *Role)


def person(username: str, organisation: Organisation, *roles: Role) -> User:
    user = User.objects.create_user(username, password=f"{username} long password", first_name=username.title())
    for role in roles:
        Membership.objects.create(user=user, organisation=organisation, role=role)
    return user
