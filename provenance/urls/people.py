from django.urls import path

from provenance.views import people

urlpatterns = [
    path("people/", people.people, name="people"),
    path("people/organisations/new/", people.organisation_add, name="organisation_add"),
    path("people/<uuid:organisation>/", people.organisation_edit, name="organisation_edit"),
    path("people/<uuid:organisation>/members/new/", people.member_add, name="member_add"),
    path("people/<uuid:organisation>/members/<int:user>/", people.member_roles, name="member_roles"),
    path("people/<uuid:organisation>/members/<int:user>/remove/", people.member_remove, name="member_remove"),
    path("people/<uuid:organisation>/members/<int:user>/password/", people.member_password, name="member_password"),
]
