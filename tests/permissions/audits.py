from audits.models import Plan
from tests.audits.builders_reports import finished_audit, model, release, version
from tests.permissions.access import OWNER_DATA, Access
from tests.world import World

AUDITORS = frozenset({"auditor", "guest_auditor", "outsider"})  # an outsider plans in their own organisation only


def audit_of(world: World) -> dict[str, object]:
    return {"pk": finished_audit(world).pk}


def draft_of(world: World) -> dict[str, object]:
    return {"pk": draft(world).pk}


def locked_of(world: World) -> dict[str, object]:
    plan = draft(world)
    from audits.services.plans.locking import lock

    return {"pk": lock(plan, by=world.auditor).pk}


def draft(world: World) -> Plan:
    from audits.services.plans.drafting import save_draft
    from audits.services.plans.values import PlanValues
    from tests.audits.builders_plans import connected

    data = version(world)
    made = release(world, data, "Northgate")
    suspect = connected(model(world.owner, world.auditor, "suspect-1"))
    values = PlanValues(name="Was it Northgate?", version=data, releases=[made], suspect=suspect)
    return save_draft(values, by=world.auditor)


ACCESS = {
    "audit_list": Access(frozenset({*OWNER_DATA, "administrator", "guest_auditor", "outsider"})),
    "audit_compare": Access(frozenset({*OWNER_DATA, "administrator", "guest_auditor", "outsider"})),
    "audit_detail": Access(OWNER_DATA, audit_of),
    "audit_json": Access(OWNER_DATA, audit_of),
    "plan_new": Access(AUDITORS),
    "plan_forecast": Access(AUDITORS),
    "plan_references": Access(AUDITORS),
    "plan_detail": Access(OWNER_DATA, draft_of),
    "plan_json": Access(OWNER_DATA, draft_of),
    "plan_edit": Access(frozenset({"auditor"}), draft_of),
    "plan_lock": Access(frozenset({"auditor"}), draft_of, method="post"),
    "plan_run": Access(frozenset({"auditor"}), locked_of, method="post"),
}
