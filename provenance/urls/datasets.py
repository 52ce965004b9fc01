from django.urls import path

from provenance.views import blockings, datasets, near_duplicates, versions, words

urlpatterns = [
    path("datasets/", datasets.dataset_list, name="dataset_list"),
    path("datasets/new/", datasets.dataset_new, name="dataset_new"),
    path("datasets/<uuid:pk>/", datasets.dataset_detail, name="dataset_detail"),
    path("datasets/<uuid:pk>/versions/new/", datasets.version_new, name="version_new"),
    path("datasets/<uuid:pk>/grants/", datasets.dataset_grant, name="dataset_grant"),
    path("datasets/<uuid:pk>/grants/<int:grant>/revoke/", datasets.dataset_revoke, name="dataset_revoke"),
    path("versions/<uuid:pk>/", versions.version_detail, name="version_detail"),
    path("versions/<uuid:pk>/files/", versions.version_files, name="version_files"),
    path("versions/<uuid:pk>/files/<int:index>/", versions.version_file, name="version_file"),
    path("versions/<uuid:pk>/files/<int:index>/proof.json", versions.version_proof, name="version_proof"),
    path("versions/<uuid:pk>/files/<int:index>/image.webp", versions.version_image, name="version_image"),
    path("versions/<uuid:pk>/issues/", versions.version_issues, name="version_issues"),
    path("versions/<uuid:pk>/blocks/", blockings.version_blocks, name="version_blocks"),
    path("versions/<uuid:pk>/give-up/", versions.version_give_up, name="version_give_up"),
    path("versions/<uuid:pk>/words/", words.version_words, name="version_words"),
    path(
        "versions/<uuid:pk>/near-duplicates/",
        near_duplicates.version_near_duplicates,
        name="version_near_duplicates",
    ),
]
