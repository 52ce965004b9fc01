from django.urls import URLPattern, path

from audits.views import trainings

urlpatterns: list[URLPattern] = [
    path("trainings/", trainings.training_list, name="training_list"),
    path("trainings/new/", trainings.training_new, name="training_new"),
    path("trainings/new/choices/<str:name>/", trainings.training_choices, name="training_choices"),
    path("trainings/<uuid:pk>/", trainings.training_detail, name="training_detail"),
    path("trainings/<uuid:pk>/curve/", trainings.training_curve, name="training_curve"),
]
