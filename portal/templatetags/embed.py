"""How other sites embed the portal."""

from django import template
from django.conf import settings
from django.urls import reverse

from portal.services.portals import Portal

register = template.Library()


@register.simple_tag
def widget_address(portal: Portal) -> str:
    """The whole address of the portal's `widget.js`."""
    return f"{settings.SITE_URL.rstrip('/')}{reverse('portal:widget', args=[portal.workspace.slug])}"
