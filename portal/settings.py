"""All settings, read from the environment (and `.env` beside manage.py). Grouped by subject.

The defaults work on a laptop; in production (DEBUG off) a missing or unsafe value stops the start with one sentence.
`.env.example` lists every variable.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- Mode -------------------------------------------------------------------------------------------------------------

TESTING = "pytest" in sys.modules
DEBUG = env.bool("DEBUG", default=TESTING)
# Commands that build or describe the project; they may run without secrets.
BUILDING = len(sys.argv) > 1 and sys.argv[1] in {
    "makemigrations",
    "collectstatic",
    "spectacular",
    "help",
    "demo",
    "bench",
    "chaos",
    "proofs",
}


def secret(name: str) -> str:
    """A variable that production must set; elsewhere a throw-away value that is the same on every start."""
    value = env.str(name, default="")
    if value:
        return value
    if not (DEBUG or TESTING or BUILDING):
        raise ImproperlyConfigured(
            f"{name} is not set: put it into the environment or .env (see .env.example)."
        )
    return f"only-for-development-{name.lower()}"


# --- Secrets ----------------------------------------------------------------------------------------------------------

SECRET_KEY = secret("SECRET_KEY")
# Newest first: the first encrypts, all decrypt. Read by portal.encryption and django-encrypted-model-fields.
FIELD_ENCRYPTION_KEY = env.list("FIELD_ENCRYPTION_KEYS", default=[]) or [
    base64.urlsafe_b64encode(hashlib.sha256(secret("FIELD_ENCRYPTION_KEYS").encode()).digest()).decode()
]

# --- Hosts and transport security -------------------------------------------------------------------------------------

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"] if DEBUG else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Whether people reach the portal over https (a proxy ends TLS and sets X-Forwarded-Proto).
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# A sign-in ends after so many hours, and after so many minutes without a request (portal/sessions.py).
SESSION_HOURS = env.int("SESSION_HOURS", default=12)
SESSION_IDLE_MINUTES = env.int("SESSION_IDLE_MINUTES", default=30)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
# How many of our own proxies add an entry to X-Forwarded-For; what stands before those entries is not believed.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1 if HTTPS else 0)
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# --- Applications -----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "portal",  # before allauth, so that our pages and e-mails replace its own
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_q",
    "integrations",
    "billing",
    "alerts",
]

MIDDLEWARE = [
    "portal.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.SecurityHeaders",
    "portal.ratelimits.Headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "portal.sessions.Middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.secondfactor.Middleware",
    "portal.impersonation.Middleware",
    "portal.stepup.Middleware",
    "portal.audit.Middleware",
    "portal.idempotency.Middleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.pages.navigation",
            ],
        },
    },
]

# --- Database: SQLite is complete for one host, PostgreSQL for any number -------------------------------------------

VAR.mkdir(exist_ok=True)
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{VAR / 'portal.sqlite3'}"
if not DATABASE_URL.startswith(("sqlite://", "postgres://", "postgresql://")):
    raise ImproperlyConfigured(
        "DATABASE_URL must look like postgres://user:password@host:5432/name or sqlite:////path/to/file; leave it out "
        "for a SQLite file in var/."
    )
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
DATABASES["default"]["CONN_MAX_AGE"] = 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if ON_SQLITE:
    DATABASES["default"]["ENGINE"] = "portal.sqlite"
    # Without WAL and IMMEDIATE more than half of concurrent read-then-write transactions fail. synchronous=FULL, so
    # that an accepted event survives a power cut as well.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous={'OFF' if TESTING else 'FULL'}; PRAGMA foreign_keys=ON; "
            "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-16000; "
            "PRAGMA temp_store=MEMORY;"
        ),
    }
else:
    # A server that hangs instead of refusing must not hold a process for minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).update({"connect_timeout": 5, "tcp_user_timeout": 20_000})
if ON_SQLITE and TESTING:
    # A file of its own for each test process: the in-memory database locks whole tables between threads.
    DATABASES["default"]["TEST"] = {
        "NAME": str(Path(tempfile.gettempdir()) / f"psap-test-{os.getpid()}.sqlite3")
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Cache: shared by the processes of one host, by all hosts with Redis ----------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
elif TESTING:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(VAR / "cache"),
        }
    }

# --- People -----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "portal.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "portal.signin.AccountAdapter"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Wrong tries are counted by portal/throttle.py: in rows, so over all processes, with Retry-After, and lifted by staff.
ACCOUNT_RATE_LIMITS = False
MFA_RATE_LIMITS = False
MFA_ADAPTER = "portal.secondfactor.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # whoever has a password got the link for it by mail
MFA_FORMS = {
    "authenticate": "portal.secondfactor.SignInCode",
    "reauthenticate": "portal.secondfactor.ConfirmCode",
    "activate_totp": "portal.secondfactor.ActivateForm",
    "authenticate_webauthn": "portal.secondfactor.SignInPasskey",
    "reauthenticate_webauthn": "portal.secondfactor.ConfirmPasskey",
    "login_webauthn": "portal.secondfactor.LoginPasskey",
    "add_webauthn": "portal.secondfactor.NewPasskey",
}
# Whether the vendor's staff need a second factor; the admin is theirs too.
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=not DEBUG)
# Before keys, people and factors are changed, a person must have proved within so many minutes who it is.
STEP_UP_MINUTES = env.int("STEP_UP_MINUTES", default=15)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

# --- Language and time ------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Static files -----------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = DEBUG or TESTING
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG or TESTING
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# --- REST -------------------------------------------------------------------------------------------------------------

API_REQUESTS_A_MINUTE = env.int("API_REQUESTS_A_MINUTE", default=30_000)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.rest.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.rest.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["portal.ratelimits.PerToken"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.rest.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "portal.rest.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "portal.openapi.Schema",
    "EXCEPTION_HANDLER": "portal.rest.problem",
    "PAGE_SIZE": 50,
    "UNICODE_JSON": False,  # half a surrogate pair can then be quoted in an error
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "PSA Portal",
    "DESCRIPTION": "Events become PSA tickets, usage becomes agreement quantities.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SeverityEnum": "integrations.models.eventlog.Severity",
        "EventActionEnum": "integrations.models.eventlog.EventAction",
        "DeliveryActionEnum": "integrations.models.eventlog.Action",
        "DeliveryStatusEnum": "integrations.models.eventlog.Status",
        "EventStatusEnum": "integrations.models.eventlog.Event.State",
        "PushRunStateEnum": "billing.models.pushes.PushRun.State",
        "PushItemStateEnum": "billing.models.pushes.PushItem.State",
        "ReplayStateEnum": "alerts.models.replays.Replay.State",
        "ItemStatusEnum": "portal.batches.OUTCOMES",
        "AskedEnum": "billing.syncapi.ASKED",
        "ModeEnum": "portal.models.partners.Mode",
        "WithoutApprovalEnum": "portal.models.partners.WITHOUT_APPROVAL",
        "PsaKindEnum": "integrations.models.connections.Kind",
        "HoldKindEnum": "alerts.models.noise.HoldKind",
        "ReloadStateEnum": "integrations.models.choices.Reload.State",
        "TicketStateEnum": "alerts.models.tickets.Ticket.State",
        "ConditionStateEnum": "alerts.models.tickets.Condition.State",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.openapi.anything_may_be_null",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Worker (django-q2): what is scheduled or long. Correctness never rests on it ------------------------------------

Q_CLUSTER = {
    "name": "psa-portal",
    "orm": "default",
    "workers": env.int("WORKERS", default=2),
    "queue_limit": env.int("WORKERS", default=2),
    "bulk": 1,
    "poll": 0.2,
    "guard_cycle": 0.5,
    "timeout": 60,
    "retry": 180,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 500,
    "catch_up": False,
    "label": "Worker",
    "sync": TESTING,
}

# --- The product ------------------------------------------------------------------------------------------------------

# Where people reach the portal; goes into tickets and e-mails.
PORT = env.int("PORT", default=8000)
PORTAL_URL = env.str("PORTAL_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
MANAGED_ID_PREFIX = env.str("MANAGED_ID_PREFIX", default="EFS-")
# What partners call our management solution in ConnectWise; backup statistics go to it.
MANAGEMENT_SOLUTION = env.str("MANAGEMENT_SOLUTION", default="EFS Backup")
# Names this installation inside our key on PSA records; never change it once tickets exist.
INSTALLATION = env.str("INSTALLATION", default="psap")
# The vendor's own name at each PSA's maker: ConnectWise's client id, Autotask's tracking identifier.
PSA_CLIENT_IDS = {
    "connectwise": env.str("CONNECTWISE_CLIENT_ID", default=""),
    "autotask": env.str("AUTOTASK_TRACKING_IDENTIFIER", default=""),
}
SUPPORT_TEXT = env.str("SUPPORT_TEXT", default="")
STATUS_URL = env.str("STATUS_URL", default="")

# Outbound calls to PSAs: https to public addresses, unless the operator opens more.
PSA_ALLOW_HTTP = env.bool("PSA_ALLOW_HTTP", default=False)
PSA_ALLOWED_NETWORKS = tuple(env.list("PSA_ALLOWED_NETWORKS", default=[]))
PSA_ALLOWED_PORTS = tuple(int(port) for port in env.list("PSA_ALLOWED_PORTS", default=["443"]))
PSA_DEADLINE = env.float("PSA_DEADLINE", default=20.0)
PSA_PAGE_DEADLINE = env.float("PSA_PAGE_DEADLINE", default=8.0)
# Autotask allows 10,000 calls an hour for all programs of a database and slows down from half of it on.
AUTOTASK_CALLS_AN_HOUR = min(env.int("AUTOTASK_CALLS_AN_HOUR", default=5000), 5000)

# Dispatcher, all in seconds. A lane whose holder is silent for LANE_LEASE is taken over by another dispatcher.
LANE_LEASE = env.float("LANE_LEASE", default=15.0)
DISPATCH_POLL = env.float("DISPATCH_POLL", default=0.25)
DISPATCH_THREADS = env.int("DISPATCH_THREADS", default=48)
LANE_CONCURRENCY = env.int("LANE_CONCURRENCY", default=4)
LANE_CONCURRENCY_CEILING = env.int("LANE_CONCURRENCY_CEILING", default=16)
RETRY_DELAYS = tuple(
    float(delay)
    for delay in env.list(
        "RETRY_DELAYS", default=["5", "30", "120", "600", "1800", "7200", "21600", "43200", "86400"]
    )
)
# After an outcome that is not known: wait, search, wait, search; only two misses allow another create. Less waiting
# when the PSA answered, in its own words, that it failed.
SEARCH_DELAYS = tuple(float(delay) for delay in env.list("SEARCH_DELAYS", default=["5", "30"]))
SEARCH_DELAYS_ANSWERED = tuple(
    float(delay) for delay in env.list("SEARCH_DELAYS_ANSWERED", default=["3", "7"])
)
BREAKER_PROBES = tuple(
    float(delay) for delay in env.list("BREAKER_PROBES", default=["15", "30", "60", "120", "300", "600"])
)
SYNCHRONIZE_WINDOW = env.float("SYNCHRONIZE_WINDOW", default=12 * 3600.0)
USAGE_FRESH_DAYS = env.int("USAGE_FRESH_DAYS", default=7)
# Tickets that people change in the PSA: how often (seconds) to look for what its own calls did not tell.
FOLLOW_EVERY = env.float("FOLLOW_EVERY", default=300.0)
CONFIGURATION = (
    "portal.configparts",
    "integrations.configparts",
    "billing.configparts",
    "alerts.configparts",
)
TICKET_FOLLOWER = "alerts.following.FollowedTickets"
# Who hears that the choices of a connection become those of another: (former, {choice: counterpart or None}, by=...).
CONNECTION_CHANGES = ("alerts.settinghistory.repointed", "billing.agreements.repointed")
# What our tab inside a PSA is called there (50 characters).
HOSTED_TAB_NAME = env.str("HOSTED_TAB_NAME", default="Backup")
DELIVERY_HANDLERS = {
    "ticket": "alerts.tickets.Tickets",
    "synchronize": "billing.synchronizations.Synchronizations",
}

# --- E-mail and logs --------------------------------------------------------------------------------------------------

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="portal@localhost")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "portal.logs.AddRequestId"}},
    "formatters": {
        "json": {"()": "portal.logs.JsonFormatter"},
        "plain": {"format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "json" if env.bool("LOG_JSON", default=not DEBUG) else "plain",
        }
    },
    "loggers": {"django-q": {"level": "WARNING"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}

# --- Metrics: /metrics for Prometheus, by token or asked directly from these networks; otherwise it is not there ------

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_NETWORKS = tuple(
    env.list("METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"] if DEBUG and not TESTING else [])
)
METRICS_NAME_PARTNERS = env.bool("METRICS_NAME_PARTNERS", default=False)

# --- Admin ------------------------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "PSA Portal",
    "SITE_HEADER": "PSA Portal",
    "SITE_SYMBOL": "sync_alt",
    "SHOW_HISTORY": False,
    "SITE_DROPDOWN": [
        {"icon": "monitoring", "title": "Staff board", "link": reverse_lazy("staff_board")},
        {"icon": "home", "title": "Portal", "link": reverse_lazy("dashboard")},
    ],
}
