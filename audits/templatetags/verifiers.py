"""What other verifiers said about one release: {% load verifiers %}{% other_verifiers row %}"""

from typing import Any

from django import template

from audits.models import AuditRow
from audits.services.calibrations.notes import facts_for
from audits.services.results.other_tests import innocent_rates, left_out, sources_of, verdict_rows

register = template.Library()


@register.inclusion_tag("audits/verifiers.html")
def other_verifiers(row: AuditRow) -> dict[str, Any]:
    """Nothing at all for audits of earlier versions, which never asked."""
    told = row.result.get("verifiers")
    verdicts = verdict_rows(row, innocent_rates(facts_for(row.audit))) if told else []
    return {
        "verdicts": verdicts,
        "sources": sources_of(verdicts),
        "left_out": left_out(row),
        "several_sets": any(verdict.set for verdict in verdicts),
        "calibrated": any(verdict.innocent for verdict in verdicts),
    }
