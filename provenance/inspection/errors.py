from provenance.errors import TouchmarkError


class InspectionError(TouchmarkError):
    """A release cannot be inspected like this; the sentence says what to do."""
