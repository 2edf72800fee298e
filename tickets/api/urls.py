"""Addresses of the tickets API; words stand before ids."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
