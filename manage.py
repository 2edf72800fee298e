#!/usr/bin/env python
"""Command line of the helpdesk: `manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    """Settle which environment this is, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from helpdesk import embedded

    # Settings are read once, at import: what they depend on must be known before.
    embedded.choose_environment(sys.argv, os.environ)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refused:
        sys.exit(f"Refused: {refused}")


if __name__ == "__main__":
    main()
