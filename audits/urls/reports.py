from django.urls import path

from audits.views import reports

urlpatterns = [
    path("reports/", reports.report_list, name="report_list"),
    path("reports/<uuid:pk>/", reports.report_detail, name="report_detail"),
    path("reports/<uuid:pk>/pdf/", reports.report_pdf, name="report_pdf"),
    path("reports/<uuid:pk>/json/", reports.report_json, name="report_json"),
    path("audits/<uuid:audit>/report/", reports.report_issue, name="report_issue"),
]
