from django.urls import path

from provenance.views import keys

urlpatterns = [
    path("keys/", keys.key_list, name="key_list"),
    path("keys/draw/", keys.key_draw, name="key_draw"),
    path("keys/<uuid:pk>/", keys.key_detail, name="key_detail"),
    path("keys/<uuid:pk>/drop/", keys.key_drop, name="key_drop"),
]
