from django.urls import path

from provenance.views import presets, releases, words

urlpatterns = [
    path("releases/", releases.release_list, name="release_list"),
    path("releases/new/", releases.release_new, name="release_new"),
    path("releases/new/plan/", releases.release_plan, name="release_plan"),
    path("releases/new/presets/", presets.release_presets, name="release_presets"),
    path("releases/new/words/", words.release_words, name="release_words"),
    path("releases/<uuid:pk>/", releases.release_detail, name="release_detail"),
    path("releases/<uuid:pk>/inspect/", releases.release_inspect, name="release_inspect"),
    path("releases/<uuid:pk>/inspection.json", releases.release_inspection, name="release_inspection"),
    path("releases/<uuid:pk>/gallery/", releases.release_gallery, name="release_gallery"),
    path("releases/<uuid:pk>/home/", releases.release_home, name="release_home"),
    path("releases/<uuid:pk>/versions/", releases.release_versions, name="release_versions"),
    path(
        "releases/<uuid:pk>/gallery/<int:position>-<slug:kind>.webp",
        releases.release_picture,
        name="release_picture",
    ),
    path("releases/<uuid:pk>/download.zip", releases.release_download, name="release_download"),
]
