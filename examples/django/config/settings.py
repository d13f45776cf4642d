"""Settings of the shop. What has to do with the server is at the end: caches, sessions, Celery."""

import os
from pathlib import Path

from redis.backoff import ExponentialBackoff
from redis.retry import Retry

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("SHOP_DATA", BASE_DIR / "data"))

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "only for this example: make your own")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "shop.sqlite3",
        # Site and worker write it; who comes second waits instead of failing.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"

# Mails go to the worker's output. The first tries of each fail, so that there is something to retry.
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
SHOP_MAIL_FAILURES = int(os.environ.get("SHOP_MAIL_FAILURES", 1))
SHOP_FORGOTTEN_SECONDS = int(os.environ.get("SHOP_FORGOTTEN_SECONDS", 300))
SHOP_API_CALLS_PER_MINUTE = 10

# The server. One is enough: each use has a db, and each db its own limit and eviction policy (djr.conf).
SERVER = os.environ.get("SHOP_REDIS", "redis://127.0.0.1:6379")
QUEUE_DB, CACHE_DB, SESSIONS_DB, LIMITS_DB = range(4)

# A server that is restarted, or killed and brought back by systemd, answers again within a second or two. Whoever asks
# meanwhile waits instead of showing an error page.
RIDE_OUT_A_RESTART = {"retry": Retry(ExponentialBackoff(cap=1, base=0.05), 8), "socket_timeout": 5, "socket_connect_timeout": 5}

CACHES = {
    # django-redis: has locks, patterns, compression, and the client itself for whatever Django's API lacks.
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{SERVER}/{CACHE_DB}",
        "KEY_PREFIX": "shop",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
            "CONNECTION_POOL_KWARGS": RIDE_OUT_A_RESTART,
        },
    },
    # Django's own backend does the same with one dependency less.
    "sessions": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"{SERVER}/{SESSIONS_DB}",
        "OPTIONS": RIDE_OUT_A_RESTART,
    },
    "limits": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{SERVER}/{LIMITS_DB}",
        "OPTIONS": {"CONNECTION_POOL_KWARGS": RIDE_OUT_A_RESTART},
    },
}

# In the server alone: it is durable, so nobody is logged out when it restarts. (`cached_db` would write the database, too.)
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"

CELERY_BROKER_URL = f"{SERVER}/{QUEUE_DB}"
CELERY_RESULT_BACKEND = f"{SERVER}/{QUEUE_DB}"
CELERY_RESULT_EXPIRES = 3600
# A worker that dies gives back what it had taken when this has passed. It must be longer than any countdown and any task.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": int(os.environ.get("SHOP_VISIBILITY_SECONDS", 3600))}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A task whose result can't be stored just now has not failed.
CELERY_RESULT_BACKEND_ALWAYS_RETRY = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TRACK_STARTED = True
BEAT_SECONDS = float(os.environ.get("SHOP_BEAT_SECONDS", 10))
CELERY_BEAT_SCHEDULE = {
    "sales": {"task": "shop.tasks.count_sales", "schedule": BEAT_SECONDS},
    "forgotten mails": {"task": "shop.tasks.mail_forgotten_orders", "schedule": 6 * BEAT_SECONDS},
}
