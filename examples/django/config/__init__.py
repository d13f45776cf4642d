"""The project: settings, addresses, and the Celery application, which must be there before any task is defined."""

from .celery import app as celery_app

__all__ = ["celery_app"]
