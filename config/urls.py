from django.urls import include, path

urlpatterns = [path("", include("provenance.urls")), path("", include("audits.urls"))]
handler400 = "provenance.views.errors.bad_request"
handler403 = "provenance.views.errors.permission_denied"
handler404 = "provenance.views.errors.page_not_found"
handler500 = "provenance.views.errors.server_error"
