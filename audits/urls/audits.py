from django.urls import path

from audits.views import audits, plans

urlpatterns = [
    path("audits/", audits.audit_list, name="audit_list"),
    path("audits/compare/", audits.audit_compare, name="audit_compare"),
    path("audits/<uuid:pk>/", audits.audit_detail, name="audit_detail"),
    path("audits/<uuid:pk>/result.json", audits.audit_json, name="audit_json"),
    path("audits/plans/new/", plans.plan_new, name="plan_new"),
    path("audits/plans/forecast/", plans.plan_forecast, name="plan_forecast"),
    path("audits/plans/references/", plans.plan_references, name="plan_references"),
    path("audits/plans/<uuid:pk>/", plans.plan_detail, name="plan_detail"),
    path("audits/plans/<uuid:pk>/edit/", plans.plan_edit, name="plan_edit"),
    path("audits/plans/<uuid:pk>/lock/", plans.plan_lock, name="plan_lock"),
    path("audits/plans/<uuid:pk>/run/", plans.plan_run, name="plan_run"),
    path("audits/plans/<uuid:pk>/plan.json", plans.plan_json, name="plan_json"),
]
