from django.urls import path

from audits.views import calibrations

urlpatterns = [
    path("calibrations/", calibrations.calibration_list, name="calibration_list"),
    path("calibrations/new/", calibrations.calibration_new, name="calibration_new"),
    path("calibrations/cost/", calibrations.calibration_cost, name="calibration_cost"),
    path("calibrations/<uuid:pk>/", calibrations.calibration_detail, name="calibration_detail"),
    path("calibrations/<uuid:pk>/table.json", calibrations.calibration_json, name="calibration_json"),
]
