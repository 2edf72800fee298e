"""Settings, all read from the environment; `docs/operations.md` documents every variable.

`ENVIRONMENT` says what this process is: `production` (the default, strict), `demo` (what
`make run` starts on loopback) or `test`.
"""

import ipaddress
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from helpdesk import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- What this process is ---------------------------------------------------------------------

ENVIRONMENT = env.str("ENVIRONMENT", default="production")
if ENVIRONMENT not in {"production", "demo", "test"}:
    raise ImproperlyConfigured("ENVIRONMENT must be production, demo or test.")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = False

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
BIND = env.str("BIND", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
VERSION = "0.1.0"


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


BIND_IS_LOOPBACK = _is_loopback(BIND)
if ENVIRONMENT == "demo" and not BIND_IS_LOOPBACK:
    raise ImproperlyConfigured(
        "The demo answers on loopback only: its passwords are known to everybody. "
        "Set BIND=127.0.0.1, or ENVIRONMENT=production with a SECRET_KEY of your own."
    )


def _secret_key() -> str:
    """The configured secret; outside production one is made and kept in DATA_DIR."""
    given = env.str("SECRET_KEY", default="")
    if given or PRODUCTION:
        if len(given) < 50 or len(set(given)) < 10 or given.startswith("django-insecure"):
            raise ImproperlyConfigured(
                "SECRET_KEY is missing or weak: set at least 50 random characters, for example from "
                "`python -c 'import secrets; print(secrets.token_urlsafe(64))'`."
            )
        return given
    return embedded.kept_secret(DATA_DIR)


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", default=f"http://localhost:{PORT}").rstrip("/")

# --- What it is made of -----------------------------------------------------------------------

INSTALLED_APPS = [
    "helpdesk.accounts.apps.HelpdeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "corsheaders",
    "django_filters",
    "django_htmx",
    "lucide",
    "anymail",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "helpdesk",
    "helpdesk.accounts",
    "helpdesk.api",
    "tickets",
    "tickets.automation.apps.AutomationConfig",
    "tickets.mail.apps.MailConfig",
    "tickets.webhooks.apps.WebhooksConfig",
    "slas",
    "portal",
    "analytics",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "csp.middleware.CSPMiddleware",
    "helpdesk.middleware.TolerateTrailingSlash",
    "helpdesk.middleware.RefuseUnreadableInput",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "helpdesk.accounts.scoping.WorkspaceMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "helpdesk.urls"
WSGI_APPLICATION = "helpdesk.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "tickets.views.queue.shell",
            ],
            "builtins": ["helpdesk.accounts.templatetags.icons"],
        },
    }
]

# --- Data -------------------------------------------------------------------------------------

DATABASES = {"default": env.db_url_config(env.str("DATABASE_URL", default="") or embedded.database_url(DATA_DIR))}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": env.int("DB_CONN_MAX_AGE", default=600),
    "CONN_HEALTH_CHECKS": True,
    # A socket folder is written %2Fas%2Fin%2Flibpq in a URL; django-environ leaves it so.
    "HOST": unquote(str(DATABASES["default"].get("HOST") or "")),
}
# JIT compiles for longer than our short queries run.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="") or embedded.redis_url(DATA_DIR)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "helpdesk",
        "OPTIONS": {
            # A cache that is away must not fail a request.
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
        },
    }
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "attachments"), "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
ATTACHMENT_MAX_BYTES = env.int("ATTACHMENT_MAX_BYTES", default=20 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000  # a rule of a hundred conditions has some five for each

# --- People -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
PASSWORD_RESET_TIMEOUT = 60 * 60 * 3

AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURE_LIMIT", default=10)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "helpdesk.accounts.views.locked"
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
# Failures are counted by the same address as everything else.
AXES_CLIENT_IP_CALLABLE = "helpdesk.api.throttles.client_address"
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "helpdesk.views.csrf_refused"

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["helpdesk.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["helpdesk.api.authentication.RoleAllows"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["helpdesk.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "helpdesk.api.schema.Operation",
    "DEFAULT_THROTTLE_CLASSES": ["helpdesk.api.throttles.CallerThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "caller": env.str("API_RATE", default="1200/min"),
        "sign_in": env.str("API_SIGN_IN_RATE", default="20/min"),
        "public": env.str("PUBLIC_RATE", default="60/min"),
        "reading": env.str("READING_RATE", default="300/min"),
        "lookup": env.str("LOOKUP_RATE", default="600/h"),
        "chat": env.str("CHAT_RATE", default="600/min"),
        "inbound": env.str("MAIL_INBOUND_RATE", default="3000/min"),
    },
    "EXCEPTION_HANDLER": "helpdesk.api.errors.problem",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": TRUSTED_PROXIES,
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "ALGORITHM": "HS256",
    "UPDATE_LAST_LOGIN": False,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Helpdesk API",
    "DESCRIPTION": "Tickets, conversations, categories and canned responses.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    # Several things have a kind, and a state; each has its own name in the document.
    "ENUM_NAME_OVERRIDES": {
        "FieldKindEnum": "tickets.api.serializers.KINDS",
        "LinkKindEnum": "tickets.api.serializers.LINK_KINDS",
        "SLAGoalEnum": "slas.api.serializers.GOAL_NAMES",
        "SLAStateEnum": "slas.api.serializers.TICKET_STATES",
        "ClockStateEnum": "slas.api.serializers.CLOCK_STATES",
        "ClockSpanKindEnum": "slas.api.serializers.SPAN_KINDS",
        "SLAJobKindEnum": "slas.api.serializers.JOB_KINDS",
        "StatusEnum": "tickets.api.serializers.STATUSES",
        "BackgroundStateEnum": "slas.api.serializers.JOB_STATES",
        "RoleEnum": "helpdesk.api.people.ROLES",
        "ChatRoleEnum": "portal.api.chat.ROLES",
        "AutomationTriggerEnum": "tickets.automation.api.rules.TRIGGER_WORDS",
        "WebhookEventEnum": "tickets.webhooks.api.webhooks.EVENTS",
        "WebhookStateEnum": "tickets.webhooks.api.webhooks.STATES",
        "WebhookOffReasonEnum": "tickets.webhooks.api.webhooks.OFF_REASONS",
        "WebhookDeliveryStatusEnum": "tickets.webhooks.api.deliveries.STATUSES",
        "ReportIntervalEnum": "analytics.api.csat.INTERVALS",
        "VolumeIntervalEnum": "analytics.api.volume.INTERVALS",
    },
    "WEBHOOKS": "tickets.webhooks.api.described.MESSAGES",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "helpdesk.api.schema.refuse_unknown_fields",
    ],
}

# --- Background work --------------------------------------------------------------------------

CELERY_BROKER_URL = embedded.broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Redelivery after a crash: the defaults wait for an hour. Longer than the longest task.
    "visibility_timeout": env.int("TASK_VISIBILITY_SECONDS", default=900),
    "unacked_restore_interval": 15,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 1,
    "socket_timeout": 3,  # a worker asks the broker for a second at a time; a request waits no longer than this
    "socket_keepalive": True,
    "global_keyprefix": "helpdesk:",
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_TIME_LIMIT = 600
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "worker heartbeat": {"task": "helpdesk.tasks.heartbeat", "schedule": 15.0},
    "relay what the broker lost": {"task": "tickets.tasks.sweep_undispatched", "schedule": 15.0},
    "close resolved tickets": {"task": "tickets.tasks.close_resolved", "schedule": 300.0},
    "purge the trash": {"task": "tickets.tasks.purge_trash", "schedule": 3600.0},
    "record what is due under service levels": {"task": "slas.tasks.sweep_clocks", "schedule": 15.0},
    "let rules look when their time has come": {"task": "tickets.automation.tasks.fire_due", "schedule": 15.0},
    "reckon the times that rules wait for": {"task": "tickets.automation.tasks.reckon_due", "schedule": 15.0},
    "send what rules want sent": {"task": "tickets.automation.tasks.send_due_effects", "schedule": 15.0},
    "take up lost dry runs": {"task": "tickets.automation.tasks.take_up_lost_dry_runs", "schedule": 60.0},
    "give waiting tickets to free agents": {"task": "tickets.automation.tasks.serve_waiting", "schedule": 20.0},
    "open recurring tickets": {"task": "tickets.automation.tasks.open_recurring", "schedule": 30.0},
    "send the mail that is due": {"task": "tickets.mail.tasks.send_due", "schedule": 15.0},
    "fetch mail over IMAP": {"task": "tickets.mail.tasks.fetch_mailboxes", "schedule": 15.0},
    "work through mail that waits": {"task": "tickets.mail.tasks.sweep_incoming", "schedule": 15.0},
    "delete the bytes of old mail": {"task": "tickets.mail.tasks.purge_incoming", "schedule": 3600.0},
    "delete old messages of webhooks": {"task": "tickets.webhooks.tasks.purge_deliveries", "schedule": 3600.0},
    "tell of webhooks that are off": {"task": "tickets.webhooks.tasks.tell_owners", "schedule": 60.0},
    "take up lost jobs": {"task": "slas.tasks.take_up_lost_jobs", "schedule": 60.0},
    "go on with exports and erasures": {"task": "portal.tasks.take_up_privacy_requests", "schedule": 15.0},
    "delete old exports": {"task": "portal.tasks.delete_old_exports", "schedule": 3600.0},
    "fold ticket counts": {"task": "tickets.tasks.fold_counts", "schedule": 30.0},
    "forget old sign-in links of customers": {"task": "portal.tasks.forget_sign_in_links", "schedule": 3600.0},
    "forget old idempotency keys": {"task": "helpdesk.tasks.forget_idempotency_keys", "schedule": 3600.0},
    "forget expired refresh tokens": {"task": "helpdesk.tasks.forget_expired_tokens", "schedule": 86400.0},
}

# --- Mail -------------------------------------------------------------------------------------

if ENVIRONMENT == "demo":
    EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="helpdesk.mail_files.FileBackend")
else:
    EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="django.core.mail.backends.smtp.EmailBackend")
EMAIL_TIMEOUT = 30  # seconds for each step with the mail server: one that hangs must not hold a worker or a request
if mail_url := env.str("EMAIL_URL", default=""):
    globals().update(env.email_url_config(mail_url))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="helpdesk@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# What django-anymail reads: ANYMAIL_MAILGUN_API_KEY, ANYMAIL_POSTMARK_SERVER_TOKEN and so on, by its documentation.
ANYMAIL = {
    name.removeprefix("ANYMAIL_"): {"true": True, "false": False}.get(value.lower(), value)
    for name, value in env.ENVIRON.items()
    if name.startswith("ANYMAIL_")
}
ANYMAIL["WEBHOOK_SECRET"] = env.list("ANYMAIL_WEBHOOK_SECRET", default=[])
# The domain of the addresses that mail can be forwarded to, and of our Message-IDs.
MAIL_DOMAIN = env.str("MAIL_DOMAIN", default=urlsplit(SITE_URL).hostname or "localhost").lower()
MAIL_BIND = env.str("MAIL_BIND", default="127.0.0.1")
MAIL_PORT = env.int("MAIL_PORT", default=2525)
if ENVIRONMENT == "demo" and not _is_loopback(MAIL_BIND):
    raise ImproperlyConfigured("The demo takes mail on loopback only: set MAIL_BIND=127.0.0.1.")
MAIL_TLS_CERT = env.str("MAIL_TLS_CERT", default="")
MAIL_TLS_KEY = env.str("MAIL_TLS_KEY", default="")
MAIL_FETCH_SECONDS = env.int("MAIL_FETCH_SECONDS", default=60)
MAIL_KEEP_DAYS = env.int("MAIL_KEEP_DAYS", default=90)  # the bytes of what came in; 0: for ever
# Where `receive_mail` puts a message whose recipients name no mailbox.
MAIL_DEFAULT_MAILBOX = env.str("MAIL_DEFAULT_MAILBOX", default="support@demo.example" if ENVIRONMENT == "demo" else "")
MAIL_MAX_BYTES = env.int("MAIL_MAX_BYTES", default=50 * 1024 * 1024)

# --- Time and language ------------------------------------------------------------------------

TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
# The portal speaks these; console and API are English.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
LANGUAGE_COOKIE_NAME = "portal_language"  # what a visitor chose
LANGUAGE_COOKIE_PATH = "/portal"
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365

# --- Security ---------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: [] for name in ("camera", "geolocation", "microphone", "payment", "usb", "display-capture")
}
# Sites that a workspace lists may call the public API from a browser: `portal.handlers` says which, per workspace.
# Never with cookies; a bot's key has no place in a page, so `Authorization` is not among the headers.
CORS_URLS_REGEX = r"^/api/public/"
CORS_ALLOWED_ORIGINS: list[str] = []
CORS_ALLOW_METHODS = ["GET", "POST"]
CORS_ALLOW_HEADERS = ["content-type", "idempotency-key", "x-access-token"]
CORS_EXPOSE_HEADERS = ["retry-after", "idempotency-replayed"]
CORS_PREFLIGHT_MAX_AGE = 600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
if PRODUCTION:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if env.bool("BEHIND_TLS_PROXY", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

OUTBOUND_ALLOW = env.list("OUTBOUND_ALLOW", default=[])
WEBHOOK_KEEP_DAYS = env.int("WEBHOOK_KEEP_DAYS", default=30)  # messages that have ended; 0: for ever

# --- Logs -------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # 4xx are the caller's; the server's log is for what we must mend.
        "django.request": {"level": "ERROR"},
        "django_redis": {"level": "CRITICAL"},
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # aiosmtpd writes every command, addresses and all.
        "mail.log": {"level": "ERROR"},
    },
}
