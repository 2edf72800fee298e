"""The server of the benchmark's yardstick: `bench_urls`, with no middleware at all."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
settings.ROOT_URLCONF = "tickets.management.bench_urls"
settings.MIDDLEWARE = []

application = get_wsgi_application()
