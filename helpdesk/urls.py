"""All addresses; each app keeps its own."""

from django.contrib import admin
from django.urls import include, path

from helpdesk import views

urlpatterns = [
    path("", views.front_door, name="front-door"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("dev/mail", views.dev_mail, name="dev-mail"),
    path("dev/mail/<str:name>", views.dev_mail_letter, name="dev-mail-letter"),
    path("dev/mail/<str:name>/html", views.dev_mail_html, name="dev-mail-html"),
    path("dev/mail/<str:name>/raw", views.dev_mail_raw, name="dev-mail-raw"),
    path("admin/", admin.site.urls),
    path("", include("helpdesk.accounts.urls")),
    path("", include("tickets.urls")),
    path("", include("portal.urls")),
    path("", include("slas.urls")),
    path("", include("analytics.urls")),
    path("", include("tickets.automation.urls")),
    path("", include("tickets.mail.urls")),
    path("", include("tickets.webhooks.urls")),
    path("api/", include("helpdesk.api.urls")),
    path("api/", include("tickets.api.urls")),
]

handler400 = "helpdesk.views.bad_request"
handler403 = "helpdesk.views.forbidden"
handler404 = "helpdesk.views.not_found"
handler500 = "helpdesk.views.server_error"
