"""Addresses of sign-in, profile, members and the workspace's settings."""

from django.urls import path
from django.views.generic import RedirectView

from helpdesk.accounts import views

app_name = "accounts"
urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index"), name="admin"),  # only the admin ends in a slash
    path("sign-in", views.SignIn.as_view(), name="sign-in"),
    path("sign-out", views.SignOut.as_view(), name="sign-out"),
    path("signed-out", views.signed_out, name="signed-out"),
    path("password-reset", views.PasswordReset.as_view(), name="password-reset"),
    path("password-reset/sent", views.PasswordResetSent.as_view(), name="password-reset-sent"),
    path("password-reset/done", views.PasswordResetComplete.as_view(), name="password-reset-complete"),
    path("password-reset/<uidb64>/<token>", views.PasswordResetConfirm.as_view(), name="password-reset-confirm"),
    path("invitations/join", views.invitation_accept, name="invitation-accept"),
    path("invitations/<str:token>", views.invitation, name="invitation"),
    path("profile", views.profile, name="profile"),
    path("profile/password", views.password_change, name="password-change"),
    path("profile/api-keys", views.api_key_create, name="api-key-create"),
    path("profile/api-keys/<uuid:pk>/revoke", views.api_key_revoke, name="api-key-revoke"),
    path("workspace", views.workspace_switch, name="workspace-switch"),
    path("availability", views.availability, name="availability"),
    path("settings/members", views.members, name="members"),
    path("settings/members/invite", views.member_invite, name="member-invite"),
    path("settings/members/<uuid:pk>/role", views.member_role, name="member-role"),
    path("settings/members/<uuid:pk>/availability", views.member_availability, name="member-availability"),
    path("settings/members/<uuid:pk>/deactivate", views.member_deactivate, name="member-deactivate"),
    path("settings/members/<uuid:pk>/reactivate", views.member_reactivate, name="member-reactivate"),
    path("settings/invitations/<uuid:pk>/revoke", views.invitation_revoke, name="invitation-revoke"),
    path("settings/workspace", views.workspace_settings, name="workspace"),
    path("settings/teams", views.teams, name="teams"),
    path("settings/teams/<uuid:pk>", views.team, name="team"),
    path("settings/teams/<uuid:pk>/delete", views.team_delete, name="team-delete"),
]
