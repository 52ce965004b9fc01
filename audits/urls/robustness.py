from django.urls import URLPattern, path

from audits.views import robustness

urlpatterns: list[URLPattern] = [
    path("robustness/", robustness.robustness_list, name="robustness_list"),
    path("robustness/new/", robustness.robustness_new, name="robustness_new"),
    path("robustness/cost/", robustness.robustness_cost, name="robustness_cost"),
    path("robustness/<uuid:pk>/", robustness.robustness_detail, name="robustness_detail"),
    path("robustness/<uuid:pk>/table.json", robustness.robustness_json, name="robustness_json"),
]
