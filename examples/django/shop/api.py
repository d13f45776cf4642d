"""The products for programs, so many calls a minute for each address."""

from math import ceil

from django.conf import settings
from django.http import JsonResponse

from . import limits, views

WINDOW_SECONDS = 60


def products(request):
    """Limited exactly."""
    hits, seconds_left = limits.hits_exact(f"api:{_visitor(request)}", WINDOW_SECONDS)
    return _answer(hits, ceil(seconds_left))


def products_simple(request):
    """Limited more or less."""
    hits = limits.hits_simple(f"api-simple:{_visitor(request)}", WINDOW_SECONDS)
    return _answer(hits, WINDOW_SECONDS)


def _visitor(request):
    """Who is counted: behind a proxy of your own, take the address from the header that it sets."""
    return request.GET.get("key") or request.META["REMOTE_ADDR"]


def _answer(hits, seconds_left):
    limit = settings.SHOP_API_CALLS_PER_MINUTE
    if hits > limit:
        response = JsonResponse({"error": "too many requests"}, status=429)
        response["Retry-After"] = str(seconds_left)
    else:
        response = JsonResponse({"products": views.product_list()})
    response["X-RateLimit-Limit"] = str(limit)
    response["X-RateLimit-Remaining"] = str(max(limit - hits, 0))
    return response
