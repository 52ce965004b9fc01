"""What can be wrong with a choice of marks."""

from provenance.errors import TouchmarkError


class SettingsError(TouchmarkError):
    """A mark setting cannot be used; the sentence names it and says what to choose instead."""
