"""Workspaces that were made before there were clocks get what new ones begin with.

The clocks of their tickets are reckoned by `manage.py derive_clocks`, or each with its next change.
"""

import hashlib
import json

from django.db import migrations

PRIORITIES = ("urgent", "high", "medium", "low")
TABLE = {"urgent": (1, 4), "high": (4, 8), "low": (24, 72)}
WEEK = {day: {"start": "09:00", "end": "18:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
NAMES = {
    "first_response": "first_response_hours",
    "next_response": "next_response_hours",
    "resolution": "resolution_hours",
}


def furnish(apps, schema_editor):
    hours_model = apps.get_model("slas", "BusinessHours")
    policy_model = apps.get_model("slas", "SLAPolicy")
    terms_model = apps.get_model("slas", "SLATerms")
    for workspace in apps.get_model("accounts", "Workspace").objects.order_by("pk"):
        hours = hours_model.unscoped.filter(
            workspace=workspace, is_default=True
        ).first() or hours_model.unscoped.create(
            workspace=workspace, name="Business hours", timezone=workspace.timezone, schedule=WEEK, is_default=True
        )
        if not policy_model.unscoped.filter(workspace=workspace).exists():
            policy_model.unscoped.create(
                workspace=workspace,
                name="Standard",
                first_response_hours=8,
                resolution_hours=24,
                priority_overrides={
                    priority: {"first_response_hours": first, "resolution_hours": resolution}
                    for priority, (first, resolution) in TABLE.items()
                },
                business_hours_only=False,
                is_default=True,
            )
        rows = policy_model.unscoped.filter(workspace=workspace).order_by("is_default", "created_at", "pk")
        for position, policy in enumerate(rows, start=1):
            if policy.terms_id is not None:
                continue
            policy.position, policy.pending_pauses = position, ["resolution"]
            seal(terms_model, policy, hours if policy.business_hours_only else None)


def seal(terms_model, policy, hours):
    document = {
        "targets": {
            priority: {
                goal: round(float(value) * 3600)
                for goal, name in NAMES.items()
                if (value := policy.priority_overrides.get(priority, {}).get(name, getattr(policy, name))) is not None
            }
            for priority in PRIORITIES
        },
        "pending_pauses": policy.pending_pauses,
        "at_risk_percent": policy.at_risk_percent,
        "calendar": {"timezone": hours.timezone, "schedule": hours.schedule, "holidays": hours.holidays}
        if hours
        else None,
    }
    policy.terms, _ = terms_model.unscoped.get_or_create(
        policy=policy,
        digest=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
        defaults={"workspace_id": policy.workspace_id, "document": document},
    )
    policy.save()


class Migration(migrations.Migration):
    dependencies = [
        ("slas", "0002_business_hours_and_clocks"),
        ("accounts", "0001_initial"),
        ("tickets", "0006_at_risk_index"),
    ]

    operations = [migrations.RunPython(furnish, migrations.RunPython.noop)]
