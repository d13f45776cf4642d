"""Views that use the cache in the ways that Django projects do."""

import itertools
import secrets

from django.contrib.auth import authenticate, get_user_model, login, logout
from django.core.cache import cache, caches
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_headers

from django_ratelimit.decorators import ratelimit
from rest_framework.decorators import api_view, throttle_classes
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle

from . import tasks
from .caches import raw_client

# How often a view's body ran: a page from the cache shows the number of the run that made it.
_runs = itertools.count(1)


def _page():
    return HttpResponse(f"run {next(_runs)}")


@cache_page(60)
def page_for_a_minute(request):
    return _page()


@cache_page(1, key_prefix="short")
def page_for_a_second(request):
    return _page()


@cache_page(60)
@vary_on_headers("X-Theme")
def page_per_theme(request):
    return _page()


@cache_page(60)
def failing_page(request):
    return HttpResponse(f"run {next(_runs)}", status=500)


@cache_page(60)
def large_page(request):
    return HttpResponse(secrets.token_bytes(512 * 1024), content_type="application/octet-stream")


@csrf_exempt
def log_in(request):
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return JsonResponse({"user": user.get_username()})


@csrf_exempt
def log_out(request):
    logout(request)
    return HttpResponse(status=204)


def who_am_i(request):
    user = request.user
    return JsonResponse({"user": user.get_username() if user.is_authenticated else None})


@csrf_exempt
def basket(request):
    """GET shows what is in it; POST puts `item` in."""
    items = request.session.get("basket", [])
    if request.method == "POST":
        items.append(request.POST["item"])
        request.session["basket"] = items
    return JsonResponse({"basket": items, "key": request.session.session_key})


@csrf_exempt
def flush_session(request):
    request.session.flush()
    return HttpResponse(status=204)


@csrf_exempt
def cycle_session_key(request):
    request.session.cycle_key()
    return JsonResponse({"key": request.session.session_key})


@csrf_exempt
def expire_session(request):
    request.session.set_expiry(int(request.POST["seconds"]))
    return HttpResponse(status=204)


def limited(request):
    """One hit a minute for each visitor: the plain way, by `cache.get` and `cache.set`."""
    window = int(request.GET.get("window", 60))
    key = f"limit:{request.GET['visitor']}"
    if cache.get(key) is not None:
        return HttpResponse("too many requests", status=429)
    cache.set(key, 1, timeout=window)
    return HttpResponse("welcome")


# Counts a hit and starts the window with the first one, in one step.
_HIT = """
local hits = redis.call('INCR', KEYS[1])
if hits == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {hits, redis.call('PTTL', KEYS[1])}
"""


def limited_atomically(request):
    """`limit` hits in `window` seconds for each visitor, exact under any number of threads."""
    limit = int(request.GET.get("limit", 1))
    window = int(request.GET.get("window", 60))
    default = caches["default"]
    hit = raw_client(default).register_script(_HIT)
    hits, left = hit(keys=[default.make_key(f"hits:{request.GET['visitor']}")], args=[window * 1000])
    response = JsonResponse({"hits": hits, "milliseconds_left": left}, status=200 if hits <= limit else 429)
    response["Retry-After"] = str(-(-left // 1000))
    return response


@ratelimit(key="get:visitor", rate="3/d", block=False)
def limited_by_ratelimit(request):
    """Three hits a day for each visitor, counted by django-ratelimit."""
    return HttpResponse(status=429 if request.limited else 200)


class _ByVisitor(SimpleRateThrottle):
    rate = "3/day"

    def get_cache_key(self, request, view):
        return f"throttle:{request.query_params['visitor']}"


@api_view(["GET"])
@throttle_classes([_ByVisitor])
def throttled(request):
    """The same, by Django REST framework."""
    return Response({"hello": request.query_params["visitor"]})


@csrf_exempt
def sign_up(request):
    """Makes a user, and has it greeted once it is really there."""
    with transaction.atomic():
        user = get_user_model().objects.create_user(request.POST["name"])
        tasks.greet.delay_on_commit(user.pk)
    return JsonResponse({"user": user.pk})
