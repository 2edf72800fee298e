"""Pages of sign-in, password, profile, members, teams and the workspace."""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from axes.utils import reset as forget_failures
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from helpdesk.accounts import forms, services, tasks, tokens
from helpdesk.accounts.models import ApiKey, Invitation, Membership, Team, User
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import SESSION_KEY, WorkspaceRequest, member_required, switch_workspace
from helpdesk.errors import DomainError, InvalidInput, NotAllowed, NotFound

logger = logging.getLogger(__name__)

INVITATION_KEY = "invitation"
NEW_API_KEY = "new_api_key"
NEW_INVITATION = "new_invitation_url"
# By name: the API stands on the accounts, so these may not import it.
page_throttle = import_string("helpdesk.api.throttles.page_throttle")
BACKEND = "django.contrib.auth.backends.ModelBackend"


def _says_no(request: HttpRequest, error: DomainError) -> None:
    """Tell the reader why a button did nothing; where the role is the reason, with 403."""
    if isinstance(error, NotAllowed):
        raise PermissionDenied(error.detail) from error
    messages.error(request, error.detail)


# --- Signing in and out -----------------------------------------------------------------------


def locked(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Mapping[str, Any] | None = None
) -> HttpResponse:
    """What django-axes answers once an address has failed too often: 429, and when to come back."""
    seconds = int(settings.AXES_COOLOFF_TIME * 3600)
    answer: HttpResponse
    if request.path.startswith("/api/"):
        body = {
            "type": "about:blank",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "Too many attempts to sign in. Try again later.",
            "code": "throttled",
        }
        answer = JsonResponse(body, status=429, content_type="application/problem+json")
    else:
        answer = render(request, "accounts/locked.html", status=429)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "no-store"
    return answer


@method_decorator(page_throttle("sign_in"), name="dispatch")
class SignIn(auth_views.LoginView):
    """E-mail and password; `next` leads only to our own pages."""

    template_name = "accounts/sign_in.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Members start in the console, superusers without a workspace in the admin."""
        request: Any = self.request
        user = request.user
        if user.is_authenticated and user.is_superuser and not user.memberships.filter(is_active=True).exists():
            return reverse("admin:index")
        return reverse("front-door")


class SignOut(auth_views.LogoutView):
    """A POST ends the session."""

    next_page: Any = reverse_lazy("accounts:signed-out")


@require_GET
def signed_out(request: HttpRequest) -> HttpResponse:
    """Says goodbye."""
    return render(request, "accounts/signed_out.html")


@method_decorator(page_throttle("sign_in"), name="dispatch")
class PasswordReset(auth_views.PasswordResetView):
    """Asks for an address, and says the same to a known and an unknown one."""

    template_name = "accounts/password_reset.html"
    form_class = forms.ResetForm
    success_url = reverse_lazy("accounts:password-reset-sent")

    def form_valid(self, form: Any) -> HttpResponse:
        email = str(form.cleaned_data["email"])
        try:
            tasks.send_password_reset.delay(email)
        except (KombuError, OperationalError, RedisError, OSError):
            logger.exception("A password mail could not be queued.")
        return redirect(str(self.success_url))


class PasswordResetSent(auth_views.PasswordResetDoneView):
    template_name = "accounts/password_reset_sent.html"


class PasswordResetConfirm(auth_views.PasswordResetConfirmView):
    """The link of the mail; Django moves its token out of the address before the form is shown."""

    template_name = "accounts/password_reset_confirm.html"
    success_url = reverse_lazy("accounts:password-reset-complete")
    # Not signed in by the link: whoever reads the mail later finds nothing open.
    post_reset_login = False

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        forget_failures(username=form.user.email)
        return answer


class PasswordResetComplete(auth_views.PasswordResetCompleteView):
    template_name = "accounts/password_reset_done.html"


# --- Invitations ------------------------------------------------------------------------------


@require_GET
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the letter: keeps the token in the session and goes on to an address without it.

    Nothing else happens: programs that follow the links in mails do not join anything.
    """
    request.session[INVITATION_KEY] = token
    answer = redirect("accounts:invitation-accept")
    answer["Referrer-Policy"] = "no-referrer"
    answer["Cache-Control"] = "no-store"
    return answer


def _joining(request: HttpRequest, email: str) -> tuple[type[Any] | None, User | None]:
    """Which form somebody fills in to join, and who they already are."""
    user: Any = request.user
    if user.is_authenticated and user.email == email:
        return None, user
    return (forms.ProveForm if User.objects.filter(email=email).exists() else forms.JoinForm), None


@page_throttle("sign_in")
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@never_cache
def invitation_accept(request: HttpRequest) -> HttpResponse:
    """Shows the invitation that the session holds, and joins the workspace."""
    token, now = str(request.session.get(INVITATION_KEY, "")), timezone.now()
    try:
        found = services.find_invitation(token=token, now=now)
    except NotFound:
        return _no_store(render(request, "accounts/invalid_link.html", status=404))
    kind, signed_in = _joining(request, found.email)
    form = (kind or forms.forms.Form)(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        password = form.cleaned_data.get("password", "")
        try:
            if kind is forms.ProveForm:
                # By way of the sign-in, so that its failures are counted.
                known = authenticate(request, username=found.email, password=password)
                if known is None:
                    raise InvalidInput.of("password", "This is not the password of the account with this address.")
                signed_in = known
            member = services.accept_invitation(
                token=token, name=form.cleaned_data.get("name", ""), password=password, now=now, signed_in=signed_in
            )
        except NotFound:
            return _no_store(render(request, "accounts/invalid_link.html", status=404))
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            login(request, member.user, backend=BACKEND)
            request.session.pop(INVITATION_KEY, None)
            request.session[SESSION_KEY] = str(member.workspace_id)
            messages.success(request, f"Welcome to {member.workspace.name}.")
            return redirect("front-door")
    status = 422 if form.errors else 200
    context = {"invitation": found, "form": form}
    return _no_store(render(request, "accounts/invitation_accept.html", context, status=status))


def _no_store(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    return answer


# --- Oneself ----------------------------------------------------------------------------------


def _profile_page(
    request: WorkspaceRequest,
    *,
    form: Any = None,
    password_form: Any = None,
    api_key_form: Any = None,
) -> HttpResponse:
    refused = any(shown is not None and shown.errors for shown in (form, password_form, api_key_form))
    user = request.user
    keys = ApiKey.objects.for_workspace(request.workspace).filter(membership_id=request.membership.pk)
    context = {
        "section": "profile",
        "form": form or forms.ProfileForm(initial={"name": user.name, "timezone": user.timezone}),
        "password_form": password_form or forms.NewPasswordForm(user),
        "api_key_form": api_key_form or forms.ApiKeyForm(),
        "api_keys": keys.order_by("revoked_at", "-created_at")[:100],
        "new_api_key": request.session.pop(NEW_API_KEY, None),
    }
    return _no_store(render(request, "accounts/profile.html", context, status=422 if refused else 200))


@require_http_methods(["GET", "POST"])
@member_required()
def profile(request: WorkspaceRequest) -> HttpResponse:
    """Name and time zone; also shows the password and the API keys."""
    if request.method != "POST":
        return _profile_page(request)
    form = forms.ProfileForm(request.POST)
    if form.is_valid():
        try:
            services.update_profile(user=request.user, now=timezone.now(), **form.cleaned_data)
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            messages.success(request, "Your profile is saved.")
            return redirect("accounts:profile")
    return _profile_page(request, form=form)


@sensitive_post_parameters()
@require_POST
@member_required()
def password_change(request: WorkspaceRequest) -> HttpResponse:
    """A new password for somebody who knows the old one; other sessions end."""
    form = forms.NewPasswordForm(request.user, request.POST)
    if not form.is_valid():
        return _profile_page(request, password_form=form)
    update_session_auth_hash(request, form.save())
    messages.success(request, "Your password is changed. Other devices have to sign in again.")
    return redirect("accounts:profile")


@require_POST
@member_required()
def api_key_create(request: WorkspaceRequest) -> HttpResponse:
    """Make an API key; the next page shows it, once."""
    form, now = forms.ApiKeyForm(request.POST), timezone.now()
    if form.is_valid():
        days = form.cleaned_data["expires_in"]
        try:
            _, key = tokens.make_api_key(
                membership=request.membership,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=now + dt.timedelta(days=days) if days else None,
                now=now,
            )
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            request.session[NEW_API_KEY] = key
            return redirect("accounts:profile")
    return _profile_page(request, api_key_form=form)


@require_POST
@member_required()
def api_key_revoke(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """End an API key of one's own."""
    keys = ApiKey.objects.for_workspace(request.workspace).filter(membership_id=request.membership.pk)
    tokens.revoke_api_key(key=get_object_or_404(keys, pk=pk), now=timezone.now())
    messages.success(request, "The key is revoked.")
    return redirect("accounts:profile")


@require_POST
@member_required()
def workspace_switch(request: WorkspaceRequest) -> HttpResponse:
    """Go on in another workspace of one's own."""
    try:
        wanted = UUID(request.POST.get("workspace_id", ""))
    except ValueError as error:
        raise Http404("There is no such workspace.") from error
    if not switch_workspace(request, wanted):
        raise Http404("There is no such workspace.")
    return redirect("front-door")


@require_POST
@member_required(Permission.WORK)
def availability(request: WorkspaceRequest) -> HttpResponse:
    """Come or go: rules give no tickets to somebody who is away. Leads back to where the button stood."""
    is_available = {"1": True, "0": False}.get(request.POST.get("is_available", ""))
    if is_available is None:
        messages.error(request, "Say whether you are available or away.")
    else:
        me = request.membership
        services.set_availability(membership=me, is_available=is_available, by=me, now=timezone.now())
        said = (
            "You are available: rules give you tickets." if is_available else "You are away: no rule gives you tickets."
        )
        messages.success(request, said)
    # Not the address that the page was made with: while one reads, htmx goes on to another.
    back = request.headers.get("Referer", "") if "back" in request.POST else ""
    if back and url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        return redirect(back)
    return redirect("front-door")


# --- Members ----------------------------------------------------------------------------------


def _members_page(
    request: WorkspaceRequest, *, invite_form: Any = None, changed: forms.AvailabilityForm | None = None, of: Any = None
) -> HttpResponse:
    """The page; `changed` is the refused form of the member whose id is `of`."""
    now = timezone.now()
    workspace = request.workspace
    members = (
        Membership.objects.for_workspace(workspace)
        .select_related("user")
        .order_by("-is_active", "user__name", "user__email")
    )
    context = {
        "section": "settings",
        "members": [
            (one, changed if changed is not None and one.pk == of else forms.AvailabilityForm.of(one))
            for one in members
        ],
        "invitations": Invitation.objects.for_workspace(workspace)
        .filter(accepted_at=None, revoked_at=None, expires_at__gt=now)
        .select_related("invited_by")
        .order_by("email"),
        "invite_form": invite_form or forms.InviteForm(by=request.membership),
        "may_own": request.membership.may(Permission.OWN),
        "roles": forms.roles_for(request.membership),
        "new_invitation_url": request.session.pop(NEW_INVITATION, None),
    }
    refused = any(form is not None and form.errors for form in (invite_form, changed))
    status = 422 if refused else 200
    return _no_store(render(request, "accounts/members.html", context, status=status))


@require_GET
@member_required(Permission.MANAGE)
def members(request: WorkspaceRequest) -> HttpResponse:
    """Who works here, and who is invited."""
    return _members_page(request)


@require_POST
@member_required(Permission.MANAGE)
def member_invite(request: WorkspaceRequest) -> HttpResponse:
    """Invite an address."""
    form = forms.InviteForm(request.POST, by=request.membership)
    if form.is_valid():
        try:
            _, token = services.invite_member(
                workspace=request.workspace, invited_by=request.membership, now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            if request.workspace.is_test:
                request.session[NEW_INVITATION] = services.invitation_url(token)
            else:
                messages.success(request, f"The invitation to {form.cleaned_data['email']} is on its way.")
            return redirect("accounts:members")
    return _members_page(request, invite_form=form)


@require_POST
@member_required(Permission.MANAGE)
def invitation_revoke(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Withdraw an invitation."""
    found = get_object_or_404(Invitation.objects.for_workspace(request.workspace), pk=pk)
    try:
        services.revoke_invitation(invitation=found, by=request.membership, now=timezone.now())
        messages.success(request, "The invitation is withdrawn.")
    except DomainError as error:
        _says_no(request, error)
    return redirect("accounts:members")


def _member(request: WorkspaceRequest, pk: UUID) -> Membership:
    return get_object_or_404(Membership.objects.for_workspace(request.workspace), pk=pk)


@require_POST
@member_required(Permission.MANAGE)
def member_role(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Give a member another role."""
    try:
        member = services.change_role(
            membership=_member(request, pk),
            role=request.POST.get("role", ""),
            by=request.membership,
            now=timezone.now(),
        )
        messages.success(request, f"{member.user} is now {member.get_role_display().lower()}.")
    except DomainError as error:
        _says_no(request, error)
    return redirect("accounts:members")


@require_POST
@member_required(Permission.MANAGE)
def member_availability(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Say whether rules give tickets to a member, and how many open ones at most."""
    member = _member(request, pk)
    form = forms.AvailabilityForm.of(member, request.POST)
    if form.is_valid():
        try:
            services.set_availability(membership=member, by=request.membership, now=timezone.now(), **form.cleaned_data)
        except NotAllowed as error:
            _says_no(request, error)
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            messages.success(request, f"What rules give to {member.user} is saved.")
            return redirect("accounts:members")
    return _members_page(request, changed=form, of=pk)


@require_POST
@member_required(Permission.MANAGE)
def member_deactivate(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """End a member's part in the workspace."""
    try:
        member = services.deactivate_member(membership=_member(request, pk), by=request.membership, now=timezone.now())
        messages.success(request, f"{member.user} is deactivated.")
    except DomainError as error:
        _says_no(request, error)
    return redirect("accounts:members")


@require_POST
@member_required(Permission.MANAGE)
def member_reactivate(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Let a deactivated member back in."""
    try:
        member = services.reactivate_member(membership=_member(request, pk), by=request.membership, now=timezone.now())
        messages.success(request, f"{member.user} can work here again.")
    except DomainError as error:
        _says_no(request, error)
    return redirect("accounts:members")


# --- The workspace and its teams --------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def workspace_settings(request: WorkspaceRequest) -> HttpResponse:
    """What the workspace is called and how it treats tickets."""
    form = forms.WorkspaceForm.of(request.workspace)
    if request.method == "POST":
        form = forms.WorkspaceForm(request.POST)
        if form.is_valid():
            try:
                services.update_workspace(
                    workspace=request.workspace, by=request.membership, now=timezone.now(), **form.cleaned_data
                )
            except DomainError as error:
                forms.show_errors(form, error)
            else:
                messages.success(request, "The settings are saved.")
                return redirect("accounts:workspace")
    context = {"section": "settings", "form": form}
    return render(request, "accounts/workspace.html", context, status=422 if form.errors else 200)


def _teams_page(request: WorkspaceRequest, *, form: Any = None, edited: Team | None = None) -> HttpResponse:
    teams: Iterable[Team] = (
        Team.objects.for_workspace(request.workspace).prefetch_related("members__user").order_by("name")
    )
    context = {
        "section": "settings",
        "teams": teams,
        "form": form or forms.TeamForm(workspace=request.workspace),
        "edited": edited,
    }
    return render(request, "accounts/teams.html", context, status=422 if form is not None and form.errors else 200)


def _save_team(request: WorkspaceRequest, team: Team | None) -> HttpResponse:
    form = forms.TeamForm(request.POST, workspace=request.workspace)
    if form.is_valid():
        try:
            services.save_team(
                workspace=request.workspace,
                name=form.cleaned_data["name"],
                member_ids=[member.pk for member in form.cleaned_data["members"]],
                lead_id=form.cleaned_data["lead"],
                by=request.membership,
                now=timezone.now(),
                team=team,
            )
        except DomainError as error:
            forms.show_errors(form, error)
        else:
            messages.success(request, "The team is saved.")
            return redirect("accounts:teams")
    return _teams_page(request, form=form, edited=team)


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def teams(request: WorkspaceRequest) -> HttpResponse:
    """All teams, and the form of a new one."""
    return _save_team(request, None) if request.method == "POST" else _teams_page(request)


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def team(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """One team: its name, who is in it, and who leads it."""
    found = get_object_or_404(Team.objects.for_workspace(request.workspace), pk=pk)
    if request.method == "POST":
        return _save_team(request, found)
    initial = {"name": found.name, "members": found.members.values_list("pk", flat=True), "lead": found.lead_id}
    return _teams_page(request, form=forms.TeamForm(workspace=request.workspace, initial=initial), edited=found)


@require_POST
@member_required(Permission.MANAGE)
def team_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Delete a team."""
    found = get_object_or_404(Team.objects.for_workspace(request.workspace), pk=pk)
    services.delete_team(team=found, by=request.membership, now=timezone.now())
    messages.success(request, "The team is deleted.")
    return redirect("accounts:teams")
