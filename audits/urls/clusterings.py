from django.urls import path

from audits.views import clusterings

urlpatterns = [
    path("clusterings/", clusterings.clustering_list, name="clustering_list"),
    path("clusterings/new/", clusterings.clustering_new, name="clustering_new"),
    path("clusterings/forecast/", clusterings.clustering_forecast, name="clustering_forecast"),
    path("clusterings/<uuid:pk>/", clusterings.clustering_detail, name="clustering_detail"),
]
