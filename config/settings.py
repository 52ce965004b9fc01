"""All settings of Touchmark. The defaults are the embedded instance: SQLite, local files, filesystem broker.

A deployment sets environment variables (docs/deployment.md); nothing else differs.
"""

import os
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.environment import env, package_folder, secret_from_file

# Threads of OpenMP that spin while they wait for each other take ten times as long beside a busy processor. Libraries
# read this when they are loaded, which nothing above does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("TOUCHMARK_DATA", str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

# -- web ---------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "") or secret_from_file(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
# The address that people use; reports and commands print it.
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000")

# `manage.py up` serves plain HTTP on the loopback address only, and says so here. Everything else is HTTPS.
LOOPBACK_HTTP = env.bool("TOUCHMARK_LOOPBACK_HTTP", False)
SECURE_SSL_REDIRECT = not LOOPBACK_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SESSION_COOKIE_SECURE = not LOOPBACK_HTTP
CSRF_COOKIE_SECURE = not LOOPBACK_HTTP
SECURE_HSTS_SECONDS = 0 if LOOPBACK_HTTP else env.int("SECURE_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOOPBACK_HTTP
SECURE_HSTS_PRELOAD = not LOOPBACK_HTTP
if env.bool("TOUCHMARK_BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "provenance",
    "audits",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
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
                "config.navigation.navigation",
                "provenance.context.demo_instance",
            ]
        },
    }
]

# -- people ------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "provenance.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign_in"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "account/locked.html"

# -- database ----------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", f"sqlite:///{DATA_DIR / 'touchmark.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# -- files -------------------------------------------------------------------------------------------------------
# Trees of images, uploads in progress and resumable results live on a POSIX volume that web and workers share.
FILES_DIR = DATA_DIR / "files"
# Folders on the server from which people may register datasets and weights; empty means none.
SERVER_ROOTS = [Path(root).resolve() for root in env.list("TOUCHMARK_SERVER_ROOTS", default=[])]
UPLOAD_CHUNK_BYTES = 8 * 1024 * 1024
UPLOAD_MAX_BYTES = env.int("TOUCHMARK_UPLOAD_MAX_BYTES", 200 * 1024**3)
ORGANISATION_QUOTA_BYTES = env.int("TOUCHMARK_QUOTA_BYTES", 500 * 1024**3)
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
# Bounds of the confined processes that open strangers' models.
WEIGHTS_MAX_BYTES = env.int("TOUCHMARK_WEIGHTS_MAX_BYTES", 20 * 1024**3)
SUSPECT_MEMORY_BYTES = env.int("TOUCHMARK_SUSPECT_MEMORY_BYTES", 12 * 1024**3)
SUSPECT_ANSWER_SECONDS = env.int("TOUCHMARK_SUSPECT_ANSWER_SECONDS", 900)
# Shared answers of references that no audit has used for so many days are deleted (audits.services.answers.sweep).
REFERENCE_ANSWERS_DAYS = env.int("TOUCHMARK_REFERENCE_ANSWERS_DAYS", 90)
MEDIA_ROOT = DATA_DIR / "objects"
# Weights and reports are single objects: a local folder by default, S3 where a bucket is named.
if env.str("TOUCHMARK_S3_BUCKET", ""):
    _default_storage = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.str("TOUCHMARK_S3_BUCKET"),
            "endpoint_url": env.str("TOUCHMARK_S3_ENDPOINT", "") or None,
            "access_key": env.str("TOUCHMARK_S3_ACCESS_KEY", "") or None,
            "secret_key": env.str("TOUCHMARK_S3_SECRET_KEY", "") or None,
            "file_overwrite": False,
        },
    }
else:
    _default_storage = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
STORAGES = {
    "default": _default_storage,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Folders with further fonts for reports; without them, scripts that the built-in fonts lack appear as code points.
REPORT_FONTS = [Path(folder) for folder in env.list("TOUCHMARK_REPORT_FONTS", default=[])]
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("TOUCHMARK_STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static", ("plotly", package_folder("plotly") / "package_data")]
# Embedded instances serve static files straight from their sources; deployments collect them at build time.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = env.bool("TOUCHMARK_STATIC_FROM_SOURCE", True)

# -- keys --------------------------------------------------------------------------------------------------------
# Where key-encryption keys come from: "file" (embedded default), or "environment": "id:base64 of 32 bytes", the first
# one current, more after commas.
KEY_PROVIDER = env.str("TOUCHMARK_KEY_PROVIDER", "file")
if KEY_PROVIDER not in ("file", "environment"):  # a slip of the pen must not seal keys under a file nobody backs up
    raise ImproperlyConfigured(f"TOUCHMARK_KEY_PROVIDER is “file” or “environment”, not “{KEY_PROVIDER}”.")
KEY_ENCRYPTION_KEYS = env.str("TOUCHMARK_KEY_ENCRYPTION_KEYS", "")
KEY_FILE = Path(env.str("TOUCHMARK_KEY_FILE", str(DATA_DIR / "key_encryption_key")))

# -- jobs --------------------------------------------------------------------------------------------------------
_hard_limit = env.int("TOUCHMARK_JOB_SECONDS", 24 * 3600)
# What each queue is for, as the status page tells it.
JOB_QUEUES = {"cpu": "manifests, marking, reports", "gpu": "audits, calibration, grouping, training"}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "filesystem://localhost")
if CELERY_BROKER_URL.startswith("filesystem:"):
    _broker = DATA_DIR / "broker"
    for _name in ("messages", "control"):
        (_broker / _name).mkdir(parents=True, exist_ok=True, mode=0o700)
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, str | int] = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": int(1.1 * _hard_limit)}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ALWAYS_EAGER = False  # unit tests alone run jobs in their own process
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_TASK_TIME_LIMIT = _hard_limit
CELERY_TASK_SOFT_TIME_LIMIT = int(0.9 * _hard_limit)
CELERY_WORKER_POOL_START_METHOD = "spawn"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
# How long a job may be silent before it counts as lost, and how long it may wait before it is sent again.
JOB_HEARTBEAT_SECONDS = env.float("TOUCHMARK_JOB_HEARTBEAT_SECONDS", 5.0)
JOB_LOST_SECONDS = env.float("TOUCHMARK_JOB_LOST_SECONDS", 60.0)
JOB_RESEND_SECONDS = env.float("TOUCHMARK_JOB_RESEND_SECONDS", 60.0)
JOB_SWEEP_SECONDS = env.float("TOUCHMARK_JOB_SWEEP_SECONDS", 10.0)
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "provenance.tasks.sweep",
        "schedule": JOB_SWEEP_SECONDS,
        "options": {"queue": "sweep", "expires": 30},
    },
    # Deleting many files takes a while, and the sweeper of jobs must not wait for it.
    "sweep answers": {
        "task": "audits.tasks.sweep_answers",
        "schedule": 3600.0,
        "options": {"queue": "cpu", "expires": 3600},
    },
}

# -- the rest ----------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
# A demo instance holds invented people and images, and every page says so.
DEMO_FILE = DATA_DIR / "demo.json"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {"axes": {"level": "WARNING"}, "fontTools": {"level": "WARNING"}},
}
