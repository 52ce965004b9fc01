from django.urls import path

from provenance.views import uploads

urlpatterns = [
    path("uploads/", uploads.upload_begin, name="upload_begin"),
    path("uploads/<uuid:pk>/", uploads.upload_state, name="upload_state"),
    path("uploads/<uuid:pk>/chunk/", uploads.upload_chunk, name="upload_chunk"),
    path("uploads/<uuid:pk>/discard/", uploads.upload_discard, name="upload_discard"),
]
