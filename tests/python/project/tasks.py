"""Tasks of the project: they use its database and its cache."""

from celery import shared_task
from django.contrib.auth import get_user_model
from django.core.cache import cache


@shared_task(bind=True, max_retries=3)
def greet(self, user_id):
    """Greets a user, in the cache; the first time it has to try again."""
    if cache.add(f"greeted:{user_id}:tried", True):
        raise self.retry(countdown=0.1)
    user = get_user_model().objects.get(pk=user_id)
    cache.set(f"greeting:{user_id}", f"hello {user.username}")
    return self.request.retries


@shared_task
def count_users():
    return get_user_model().objects.count()
