"""Chatbots in the console: how they are let in, and what a ticket shows of its chat."""

import json
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.forms import ChatModeForm
from tickets.models import Chat, ChatSettings, Ticket
from tickets.services import chats

# The portal stands above this app: its addresses are part of the public API and do not change.
FROM_CHAT, ESCALATE = "/api/public/tickets/from-chat", "/api/public/tickets/escalate"
AT_ONCE = 8  # values of a context that are shown without being asked for


@dataclass(frozen=True)
class Panel:
    """What a ticket's page tells of its chat. `first` and `more` are pairs of name and value."""

    chat: Chat
    reason: str
    first: list[tuple[str, str]]
    more: list[tuple[str, str]]


def panel_of(ticket: Ticket) -> Panel | None:
    """The panel of a ticket that came from a chat; no query for any other."""
    if ticket.channel != chats.CHANNEL:
        return None
    chat: Chat | None = Chat.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket).first()
    if chat is None:
        return None
    pairs = chats.readable(chat.context)
    few = len(pairs) if len(pairs) <= AT_ONCE + 1 else AT_ONCE
    return Panel(chat, chat.reason.replace("_", " "), pairs[:few], pairs[few:])


# --- Settings -------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def chatbot(request: WorkspaceRequest) -> HttpResponse:
    """Who may hand conversations over, the key, and how a bot calls."""
    own = chats.settings_of(request.workspace.pk)
    form = ChatModeForm.of(own)
    if request.method == "POST":
        form = ChatModeForm(request.POST)
        if form.is_valid():
            try:
                chats.set_mode(workspace=request.workspace, requires_key=form.requires_key_chosen(), now=timezone.now())
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, "Saved who may hand conversations over.")
                return redirect("tickets:settings-chatbot")
    return _page(request, own, form, status=400 if form.errors else 200)


@never_cache
@require_POST
@member_required(Permission.MANAGE)
def chatbot_key(request: WorkspaceRequest) -> HttpResponse:
    """Make the integration key, or a new one; it is shown in this answer only."""
    key = chats.make_key(workspace=request.workspace, now=timezone.now())
    own = chats.settings_of(request.workspace.pk)
    return _page(request, own, ChatModeForm.of(own), new_key=key)


def _page(
    request: WorkspaceRequest, own: ChatSettings, form: ChatModeForm, *, status: int = 200, new_key: str = ""
) -> HttpResponse:
    site = settings.SITE_URL.rstrip("/")
    context = {
        "section": "settings",
        "form": form,
        "own": own,
        "new_key": new_key,
        "from_chat_url": site + FROM_CHAT,
        "escalate_url": site + ESCALATE,
        "example": _example(site + FROM_CHAT, request.workspace.pk, new_key or ("$KEY" if own.key_hash else "")),
    }
    return render(request, "tickets/chatbot.html", context, status=status)


def _example(url: str, workspace_id: UUID, key: str) -> str:
    """A request to try, for the command line; with a key where there is one."""
    body = {
        "workspace_id": str(workspace_id),
        "conversation_id": "conversation-1",
        "subject": "Where is my parcel?",
        "customer_email": "jane@example.com",
        "customer_name": "Jane Smith",
        "chat_history": [
            {"role": "user", "content": "Where is my parcel?"},
            {"role": "bot", "content": "I will ask my colleagues."},
        ],
    }
    header = [f'  -H "Authorization: Bearer {key}" \\'] if key else []
    return "\n".join(
        [
            f"curl {url} \\",
            '  -H "Content-Type: application/json" \\',
            *header,
            f"  -d '{json.dumps(body, indent=2)}'",
        ]
    )
