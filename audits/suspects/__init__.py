"""Models under suspicion and references: described, opened in a confined child process, and asked.

Nothing here imports torch until a child runs, so the web process may import every name below.
"""

from audits.suspects.answers import Answers, Limits, SuspectInfo
from audits.suspects.connection import ConnectionReport, check_connection
from audits.suspects.errors import FormatError, SpecError, SuspectError
from audits.suspects.identity import Identity
from audits.suspects.marks import AppliedMark
from audits.suspects.sandbox import SandboxedModel
from audits.suspects.spec import ModelSpec
from audits.suspects.views import AppliedViews

__all__ = [
    "Answers",
    "AppliedMark",
    "AppliedViews",
    "ConnectionReport",
    "FormatError",
    "Identity",
    "Limits",
    "ModelSpec",
    "SandboxedModel",
    "SpecError",
    "SuspectError",
    "SuspectInfo",
    "check_connection",
]
