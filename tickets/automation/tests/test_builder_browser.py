"""Rules in a real browser: built with the keyboard, switched on, at work, explained, put in order.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.models import Membership, Team
from helpdesk.accounts.tests.factories import ContactFactory, OrganizationFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.automation.models import DryRun, Rule
from tickets.automation.services import dry_run
from tickets.automation.tests.factories import make_rule, run_rules
from tickets.models import Comment, Ticket
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Berlin")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


@pytest.fixture
def billing(workspace: Any) -> Team:
    """A team of two, of whom one has a ticket already."""
    team = Team.unscoped.create(workspace=workspace, name="Billing")
    for name in ("Ben Okafor", "Lena Vogt"):
        team.members.add(make_agent(workspace, user__name=name))
    busy = Membership.unscoped.get(user__name="Ben Okafor")
    make_ticket(workspace, assignee_id=busy.user_id, requester_email="other@customers.example")
    return team


def order(workspace: Any) -> list[str]:
    return list(Rule.objects.for_workspace(workspace).order_by("position").values_list("name", flat=True))


def test_a_rule_is_built_tried_switched_on_at_work_and_explained(live_server, open_browser, workspace, billing):
    category = CategoryFactory(workspace=workspace, name="Billing")
    CategoryFactory(workspace=workspace, name="Login")
    ContactFactory(
        workspace=workspace,
        name="Jane Smith",
        email="jane@customers.example",
        attributes={"plan": "VIP"},
        organization=OrganizationFactory(workspace=workspace, name="Northwind"),
    )
    last_week = timezone.now() - dt.timedelta(days=7)
    make_ticket(workspace, now=last_week, subject="Charged twice in February", category_id=category.pk)
    make_ticket(workspace, now=last_week, subject="Cannot log in")
    page = open_browser()
    sign_in(page, live_server.url)

    # From the empty state.
    page.goto(f"{live_server.url}/settings/automation")
    accessible(page)
    picture(page, "1-no-rules")
    page.get_by_role("link", name="New rule").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    accessible(page)
    picture(page, "2-new-rule")

    # The name and two conditions, with the keyboard alone.
    page.keyboard.type("VIP billing tickets")
    sentence = page.get_by_role("group", name="The rule in words")
    add = page.get_by_role("button", name="Add a condition")
    add.focus()
    page.keyboard.press("Enter")
    first = page.locator("[id='if.0.field']")
    expect(first).to_be_focused()
    first.select_option("attribute")
    expect(page.get_by_label("Name of the attribute")).to_be_visible()
    expect(first).to_be_focused()  # the form was drawn anew around it
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name of the attribute")).to_be_focused()
    page.keyboard.type("plan")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("VIP")
    expect(sentence).to_contain_text("if the customer’s plan is VIP")
    add.focus()
    page.keyboard.press("Enter")
    second = page.locator("[id='if.1.field']")
    expect(second).to_be_focused()
    second.select_option("category")
    menu = page.locator("[id='if.1.value.menu']")
    expect(menu).to_contain_text("Choose …")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Category", exact=True).get_by_label("Billing").check()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(menu).to_contain_text("Billing")
    expect(sentence).to_contain_text("if the customer’s plan is VIP and the category is Billing, then")

    # What it does: to the least busy of the team, urgent, with a note.
    page.get_by_label("Team", exact=True).select_option("Billing")
    expect(sentence).to_contain_text("then assign to the least busy of team Billing.")
    page.get_by_role("button", name="Add an action").click()
    expect(page.locator("[id='then.1.do']")).to_be_focused()
    page.get_by_label("Priority", exact=True).select_option("urgent")
    page.get_by_role("button", name="Add an action").click()
    kind = page.locator("[id='then.2.do']")
    expect(kind).to_be_focused()
    kind.select_option("add_note")
    page.get_by_label("Note", exact=True).fill("A VIP. Please call within the hour.")
    expect(sentence).to_contain_text("set the priority to urgent and add a note.")
    # The note is to be written first: the focus goes with it.
    page.get_by_role("button", name="Do action 3 earlier").click()
    expect(page.get_by_role("button", name="Do action 2 earlier")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Do action 1 later")).to_be_focused()
    expect(page.get_by_label("Note", exact=True)).to_have_value("A VIP. Please call within the hour.")
    page.get_by_label("Switched on").uncheck()
    expect(sentence).to_contain_text("then add a note, assign to the least busy of team Billing and set")
    accessible(page)
    picture(page, "3-built")
    page.get_by_label("Name", exact=True).press("Enter")  # saves, and presses no other button
    page.wait_for_url(re.compile(r"/settings/automation$"))
    rule = Rule.objects.for_workspace(workspace).get()
    assert (rule.name, rule.is_active, rule.triggers) == ("VIP billing tickets", False, ["created"])
    assert rule.conditions == {
        "all": [
            {"field": "attribute", "name": "plan", "is": ["vip"]},
            {"field": "category", "is": [str(category.pk)]},
        ]
    }
    assert rule.actions == [
        {"do": "add_note", "body": "A VIP. Please call within the hour."},
        {"do": "assign", "method": "least_busy", "team_id": str(billing.pk)},
        {"do": "set_priority", "priority": "urgent"},
    ]

    # Tried on what has happened: one of the two tickets of the last days would have matched; nothing is changed.
    page.get_by_role("listitem").filter(has_text="VIP billing tickets").get_by_role("link", name="Try it").click()
    page.get_by_role("button", name="Try it on the last 30 days").click()
    page.get_by_text("Waiting to begin").wait_for()
    dry_run.run(dry_run_id=DryRun.unscoped.get().pk, clock=timezone.now)
    expect(page.locator(".verdict")).to_have_text("Would have matched 1 of 2 tickets")
    expect(page.locator(".answers")).to_contain_text("Charged twice in February")
    expect(page.locator(".answers")).to_contain_text("Priority medium → urgent")
    page.get_by_role("link", name="Not matched").click()
    expect(page.locator(".answers")).to_contain_text("Cannot log in")
    accessible(page)
    picture(page, "3-tried")
    assert set(Ticket.unscoped.filter(created_at=last_week).values_list("priority", flat=True)) == {"medium"}
    page.get_by_role("link", name="Automation").first.click()

    # Switched on from the list, with the keyboard.
    row = page.get_by_role("listitem").filter(has_text="VIP billing tickets")
    expect(row).to_contain_text("Never ran")
    switch = page.get_by_role("switch", name="VIP billing tickets")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_be_focused()
    accessible(page)

    # A customer of the plan writes.
    ticket = make_ticket(workspace, subject="The invoice of March is wrong", category_id=category.pk)
    assert run_rules(ticket) == 1
    ticket = Ticket.unscoped.get(pk=ticket.pk)
    assert ticket.assignee is not None
    assert (ticket.assignee.name, ticket.priority) == ("Lena Vogt", "urgent")
    assert Comment.unscoped.filter(ticket=ticket, body__contains="within the hour").exists()

    # Its page says why.
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    accessible(page)
    picture(page, "4-ticket")
    page.get_by_role("link", name="Why was this assigned?").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("Because the ticket was created, and")
    expect(main).to_contain_text("category is Billing")  # not its id
    expect(main).to_contain_text("Assigned to Lena Vogt, the least busy of team Billing")
    accessible(page)
    picture(page, "5-why")
    main.get_by_role("link", name="VIP billing tickets").click()
    page.get_by_role("link", name="Log").click()
    expect(page.get_by_role("main")).to_contain_text("The invoice of March is wrong")
    accessible(page)
    picture(page, "6-log")


def test_rules_are_put_in_order_with_the_keyboard_and_by_hand(live_server, open_browser, workspace, billing):
    category = CategoryFactory(workspace=workspace, name="Billing")
    vip = {"field": "tag", "is": ["vip"]}
    deep = {
        "any": [{"field": "subject", "contains": ["refund"]}, {"field": "attribute", "name": "plan", "is": ["pro"]}]
    }
    make_rule(
        workspace,
        {"do": "assign", "method": "least_busy", "team_id": str(billing.pk)},
        {"do": "set_priority", "priority": "urgent"},
        {"do": "add_note", "body": "Call them."},
        name="Money first",
        triggers=["created", "customer_replied"],
        conditions={"all": [{"field": "category", "is": [str(category.pk)]}, deep]},
    )
    make_rule(workspace, {"do": "escalate"}, name="VIPs", conditions={"all": [vip]}, stops=True)
    make_rule(workspace, {"do": "add_tags", "tags": ["seen"]}, name="Everything else", is_active=False)
    broken = make_rule(workspace, {"do": "set_team", "team_id": str(billing.pk)}, name="Old team")
    Rule.unscoped.filter(pk=broken.pk).update(is_active=False, notice="Switched off: There is no such team. (set team)")
    run_rules(make_ticket(workspace, category_id=category.pk, subject="I want a refund"))
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/automation")
    accessible(page)
    picture(page, "7-rules")

    # The keyboard: the button keeps the focus, and says where the rule is now.
    down = page.get_by_role("button", name="Ask Money first later")
    down.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#order-said")).to_have_text("Money first is now number 2.")
    expect(down).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#order-said")).to_have_text("Money first is now number 3.")
    assert order(workspace) == ["VIPs", "Everything else", "Money first", "Old team"]
    page.keyboard.press("Enter")
    # At the end there is only one way left.
    expect(page.get_by_role("button", name="Ask Money first earlier")).to_be_focused()
    assert order(workspace) == ["VIPs", "Everything else", "Old team", "Money first"]

    # By hand: the last one to the top.
    grip = page.locator(".rules > li:last-child .grip")
    grip.hover()
    page.mouse.down()
    top = page.locator(".rules > li").first.bounding_box()
    assert top
    page.mouse.move(top["x"] + 10, top["y"] + top["height"] / 2, steps=4)
    page.mouse.move(top["x"] + 10, top["y"] + 4, steps=12)
    picture(page, "8-dragged")
    page.mouse.up()
    expect(page.locator("#order-said")).to_have_text("Money first is now number 1.")
    assert order(workspace) == ["Money first", "VIPs", "Everything else", "Old team"]
    accessible(page)

    # Somebody deletes a rule meanwhile: the list says so, and is as it is now.
    Rule.unscoped.filter(name="VIPs").update(archived_at=broken.created_at)
    page.locator(".rules > li").nth(3).locator(".grip").hover()
    page.mouse.down()
    page.mouse.move(top["x"] + 10, top["y"] + 4, steps=12)
    page.mouse.up()
    page.get_by_text("Somebody else has just added or deleted a rule.").wait_for()
    expect(page.locator(".rules > li")).to_have_count(3)
    assert order(workspace) == ["Money first", "VIPs", "Everything else", "Old team"]

    # Nested groups in the builder, also refused, dark, and on a phone.
    for width, height, dark in ((1440, 900, False), (1440, 900, True), (390, 844, False)):
        page = open_browser(width, height, dark)
        kind = f"{'dark' if dark else 'light'}-{width}"
        sign_in(page, live_server.url)
        page.goto(f"{live_server.url}/settings/automation")
        accessible(page)
        picture(page, f"9-rules-{kind}")
        page.get_by_role("link", name="Money first", exact=True).click()
        accessible(page)
        page.get_by_role("group", name="Group of conditions").get_by_role("button", name="Add a group").click()
        expect(page.locator("[id='if.1.2.0.field']")).to_be_focused()
        page.locator("[id='if.1.2.0.field']").select_option("priority")
        page.get_by_text("An SLA target is at risk").click()
        page.get_by_text("Nothing happens for some time").click()
        page.get_by_label("Nothing happened for, in hours").fill("soon")
        page.get_by_role("button", name="Save", exact=True).last.click()
        page.get_by_text("Write a number of hours").wait_for()
        accessible(page)
        page.get_by_text("Nothing happens for some time").click()
        page.get_by_role("button", name="Save", exact=True).last.click()
        expect(page.get_by_text("Choose at least one.")).to_be_visible()
        accessible(page)
        picture(page, f"10-refused-{kind}")
        assert Rule.objects.for_workspace(workspace).get(name="Money first").conditions["all"][1] == deep
        page.goto(f"{live_server.url}/settings/automation/{Rule.unscoped.get(name='Money first').pk}/log")
        accessible(page)
        picture(page, f"11-log-{kind}")


def test_a_rule_is_built_and_moved_where_scripts_are_off(live_server, chromium, workspace):
    make_rule(workspace, {"do": "escalate"}, name="First")
    context = chromium.new_context(viewport={"width": 1024, "height": 900}, java_script_enabled=False)
    try:
        page = context.new_page()
        sign_in(page, live_server.url)
        page.goto(f"{live_server.url}/settings/automation/new")
        page.get_by_label("Name", exact=True).fill("Short names")
        page.get_by_role("button", name="Add a condition").click()
        page.locator("[id='if.0.field']").select_option("priority")
        page.get_by_role("button", name="Update").first.click()
        page.get_by_label("High").check(force=True)  # its box is drawn as a chip
        page.get_by_role("button", name="Add an action").click()
        page.get_by_label("Priority", exact=True).select_option("urgent")
        page.get_by_role("button", name="Do action 2 earlier").click()
        picture(page, "12-without-scripts")
        page.get_by_label("Name", exact=True).press("Enter")
        page.get_by_role("button", name="Ask Short names earlier").click()
        page.get_by_role("switch", name="First").click()
        expect(page.get_by_role("switch", name="First")).to_have_attribute("aria-checked", "false")
        picture(page, "13-rules-without-scripts")
    finally:
        context.close()
    assert order(workspace) == ["Short names", "First"]
    made = Rule.objects.for_workspace(workspace).get(name="Short names")
    assert made.conditions == {"all": [{"field": "priority", "is": ["high"]}]}
    assert [action["do"] for action in made.actions] == ["set_priority", "assign"]
