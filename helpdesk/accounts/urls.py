"""Addresses of sign-in, profile and members."""

from django.urls import URLPattern

app_name = "accounts"
urlpatterns: list[URLPattern] = []
