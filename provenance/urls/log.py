from django.urls import path

from provenance.views import log

urlpatterns = [
    path("log/", log.log_list, name="log_list"),
    path("log/<uuid:organisation>/check/", log.log_check, name="log_check"),
    path("log/<uuid:organisation>/<int:seq>/", log.log_entry, name="log_entry"),
]
