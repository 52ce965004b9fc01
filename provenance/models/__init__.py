from provenance.models.blockings import Blocking
from provenance.models.clusters import Clusters
from provenance.models.datasets import Dataset, DatasetGrant, Version
from provenance.models.jobs import Job, WorkerSeen
from provenance.models.keys import WatermarkKey
from provenance.models.log import LogEntry
from provenance.models.overlaps import Overlap
from provenance.models.people import Membership, Organisation, Role, User
from provenance.models.releases import Release
from provenance.models.uploads import Upload

__all__ = [
    "Blocking",
    "Clusters",
    "Dataset",
    "DatasetGrant",
    "Job",
    "LogEntry",
    "Membership",
    "Organisation",
    "Overlap",
    "Release",
    "Role",
    "Upload",
    "User",
    "Version",
    "WatermarkKey",
    "WorkerSeen",
]
