"""The job that groups a version's images: features block by block, then balanced k-means, then the file is kept."""

import shutil
from os import sched_getaffinity
from pathlib import Path
from time import monotonic

from audits.asking.encoding import FeatureStore, block_images, encode
from audits.models import Clustering
from audits.services.clusterings.starting import ClusteringRefusedError
from audits.services.models.opening import sandboxed
from provenance.intake.manifest import Manifest
from provenance.marks.clusters import balanced_clusters
from provenance.marks.feature_signs import feature_signs
from provenance.models import Job
from provenance.services import clusters
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.services.log import record


def mark_ended(job: Job) -> None:
    """A run that did not come through; its features are kept for another attempt."""
    state = Clustering.State.CANCELLED if job.state == Job.State.CANCELLED else Clustering.State.FAILED
    unfinished = Clustering.objects.filter(pk=job.params["clustering"]).exclude(state=Clustering.State.DONE)
    if unfinished.update(state=state):
        clustering = Clustering.objects.select_related("version__dataset__organisation").get(
            pk=job.params["clustering"]
        )
        organisation = clustering.version.dataset.organisation
        details = {"reason": job.reason}
        record(f"clustering.{state.value}", clustering, organisation=organisation, by=None, details=details)


@job_kind("clustering.run", title="Grouping the images", queue="gpu", ended=mark_ended)
def run_clustering(run: JobRun) -> None:
    """Encodes what has no features yet, groups, keeps. A run that was killed asks about no image twice."""
    clustering = Clustering.objects.select_related("version__dataset__organisation", "encoder", "created_by").get(
        pk=run.params["clustering"]
    )
    if clustering.state == Clustering.State.DONE:  # an earlier attempt got this far
        return
    Clustering.objects.filter(pk=clustering.pk).update(state=Clustering.State.RUNNING)
    begun = monotonic()
    with Manifest(clustering.version.manifest_folder) as manifest:
        if manifest.root != clustering.version.root:
            raise ClusteringRefusedError("The manifest on disk is not the one that this version was registered with.")
        store, device = _encode(run, clustering, manifest)
    encoded = monotonic()
    found = balanced_clusters(
        store.features, clustering.groups, clustering.seed, scratch=clustering.folder, told=run.progress
    )
    run.progress(0, 0, "keeping what is near")
    signs = feature_signs(store.features, clustering.seed)
    facts = {"encode_seconds": round(encoded - begun, 1), "group_seconds": round(monotonic() - encoded, 1)}
    run.checkpoint()
    told = {"moved": found.moved, "inertia": round(found.inertia, 6), "feature_size": store.features.shape[1]}
    encoder = clustering.encoder
    kept = clusters.keep(
        clustering.version,
        clusters.Found(found.labels, encoder.name, encoder.sha256, clustering.seed, told, signs),
        by=clustering.created_by,
    )
    run.progress(0, 0, "drawing sample pictures")
    clusters.draw_samples(kept)
    clustering.clusters, clustering.state = kept, Clustering.State.DONE
    clustering.facts = facts | {"device": device, "images": len(found.labels)}
    clustering.save()
    shutil.rmtree(clustering.folder, ignore_errors=True)


def _encode(run: JobRun, clustering: Clustering, manifest: Manifest) -> tuple[FeatureStore, str]:
    """All features, and the device that gave them."""
    model, version, total = clustering.encoder, clustering.version, len(manifest)
    run.progress(0, total, f"opening {model.name}")
    files = version.files_folder

    def files_of(start: int, stop: int) -> list[tuple[Path, str]]:
        return [(files / entry.path, entry.sha256) for entry in manifest.page(start, stop - start)]

    with sandboxed(model) as session:
        size, width = session.info.input_shape[1], session.info.feature_size
        if not width:
            raise ClusteringRefusedError("This model gives no features, so it cannot group images.")
        store = FeatureStore.open(clustering.folder, _subject(clustering), total, width, block_images(size))
        done = total - sum(stop - start for start, stop in map(store.range_of, store.missing()))

        def count(images: int) -> None:
            nonlocal done
            done += images
            run.progress(done, total, "encoding images")

        encode(store, files_of, session, size, count, workers=len(sched_getaffinity(0)))
        return store, session.info.device


def _subject(clustering: Clustering) -> str:
    """Names encoder, how it is run, and images, so that features of other ones are never taken for these."""
    return f"{clustering.encoder.asked_as} {clustering.version.root}"
