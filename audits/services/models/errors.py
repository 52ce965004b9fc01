"""Why a model is not taken as it was registered or described."""

from provenance.errors import TouchmarkError


class RegistrationError(TouchmarkError):
    """A model cannot be registered or changed as asked; the sentence says why."""
