"""Addresses of the API that belong to no other app."""

from django.urls import path

from helpdesk.api import people, schema

app_name = "api"
urlpatterns = [
    path("auth/token", people.SignIn.as_view(), name="token"),
    path("auth/refresh", people.RefreshTokens.as_view(), name="refresh"),
    path("auth/revoke", people.RevokeToken.as_view(), name="revoke"),
    path("me", people.MeView.as_view(), name="me"),
    path("users", people.Users.as_view(), name="users"),
    path("teams", people.Teams.as_view(), name="teams"),
    path("contacts", people.Contacts.as_view(), name="contacts"),
    path("schema", schema.Schema.as_view(), name="schema"),
    path("docs", schema.Docs.as_view(), name="docs"),
]
