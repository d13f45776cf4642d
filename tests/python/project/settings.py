"""Settings of the project under test. The tests put their server into `CACHES` (see `project.caches`)."""

import os

SECRET_KEY = "for the tests only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "project.urls"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "project",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DJR_TEST_SQLITE"],
        # Views run in threads of their own, and write `last_login`.
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The point is the session, not the strength of the test user's password.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "default"

ASGI_APPLICATION = "project.asgi.application"

CELERY_TASK_DEFAULT_QUEUE = "project"
CELERY_TASK_TRACK_STARTED = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

if url := os.environ.get("DJR_TEST_URL"):
    # A worker's process: cache, broker, results and channels are on one server, in different dbs.
    CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{url}/1"}}
    CELERY_BROKER_URL = f"{url}/0"
    CELERY_RESULT_BACKEND = f"{url}/0"
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": os.environ.get("DJR_TEST_CHANNEL_LAYER", "channels_redis.core.RedisChannelLayer"),
            "CONFIG": {"hosts": [f"{url}/2"]},
        }
    }
else:
    # Keeps nothing, so that a test without a server can't pass by mistake.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
