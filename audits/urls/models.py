from django.urls import path

from audits.views import models as views

urlpatterns = [
    path("models/", views.model_list, name="model_list"),
    path("models/new/", views.model_new, name="model_new"),
    path("models/architectures/", views.architecture_search, name="architecture_search"),
    path("models/<uuid:pk>/", views.model_detail, name="model_detail"),
    path("models/<uuid:pk>/test/", views.model_test, name="model_test"),
    path("models/<uuid:pk>/describe/", views.model_describe, name="model_describe"),
]
