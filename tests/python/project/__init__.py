"""A small Django project as it is found in the wild: nothing in it knows which server it talks to."""

from .celery import app as celery_app

__all__ = ["celery_app"]
