"""Addresses of the API that belong to no other app."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
