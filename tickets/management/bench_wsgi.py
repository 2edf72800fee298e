"""The server of the benchmark's yardstick: `bench_urls`, with no middleware at all."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")

from django.conf import settings

settings.ROOT_URLCONF = "tickets.management.bench_urls"
settings.MIDDLEWARE = []

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
