"""The reports of one audit, for the audit's own page: {% load reports %}{% audit_reports audit %}"""

from typing import Any

from django import template
from django.template.context import Context

from audits.models import Audit
from audits.services.reports.facts import may_issue
from audits.services.reports.issued import reports_visible

register = template.Library()


@register.inclusion_tag("reports/of_audit.html", takes_context=True)
def audit_reports(context: Context, audit: Audit) -> dict[str, Any]:
    """The audit's reports as links, and for legal staff the button that issues one."""
    request = context["request"]
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "audit": audit,
        "reports": reports_visible(request.user).filter(audit=audit),
        "may_issue": audit.state == Audit.State.DONE and may_issue(request.user, audit),
    }
