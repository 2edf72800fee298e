"""Addresses of the portal's pages and of the public API."""

from django.urls import URLPattern

app_name = "portal"
urlpatterns: list[URLPattern] = []
