from django.urls import URLPattern, path

from audits.views import pilots

urlpatterns: list[URLPattern] = [
    path("pilots/", pilots.pilot_list, name="pilot_list"),
    path("pilots/new/", pilots.pilot_new, name="pilot_new"),
    path("pilots/<uuid:pk>/", pilots.pilot_detail, name="pilot_detail"),
    path("pilots/<uuid:pk>/curves/", pilots.pilot_curves, name="pilot_curves"),
    path("pilots/<uuid:pk>/json/", pilots.pilot_json, name="pilot_json"),
    path("pilots/<uuid:pk>/twins/", pilots.pilot_twins, name="pilot_twins"),
    path("pilots/<uuid:pk>/trainings/<slug:name>/", pilots.pilot_line, name="pilot_line"),
]
