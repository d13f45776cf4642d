"""The pages, and what of them is kept where."""

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_page
from django.views.decorators.http import require_POST

from . import tasks
from .models import Order, Product


@cache_page(60)
def catalogue(request):
    """The same page for everyone, made once a minute.

    It must not look at `request.user` or the session: it would be kept per cookie then, which means per visitor. What differs
    between visitors (how much is in the basket) the page fetches by itself.
    """
    return render(request, "shop/catalogue.html", {"products": Product.objects.all(), "made": timezone.now()})


def product_list():
    """The products as plain data, from the cache or else from the database."""
    return cache.get_or_set("products", lambda: list(Product.objects.values("id", "name", "cents")), timeout=60)


def product(request, pk):
    """One product, and how often it was looked at."""
    found = get_object_or_404(Product, pk=pk)
    return render(request, "shop/product.html", {"product": found, "seen": _seen(pk)})


def _seen(pk):
    """Counts a look. `cache.set(key, cache.get(key) + 1)` would lose some when two come at once; INCR does not."""
    key = f"product:{pk}:seen"
    # Sets it only if it is not there: a second process can't set it back.
    cache.add(key, 0, timeout=None)
    try:
        return cache.incr(key)
    except ValueError:
        # Evicted in between: this is a cache.
        return 0


def basket(request):
    """What the visitor is about to buy, kept in the session; POST puts `product` in."""
    chosen = request.session.get("basket", [])
    if request.method == "POST":
        chosen.append(get_object_or_404(Product, pk=request.POST["product"]).pk)
        request.session["basket"] = chosen
        return redirect("basket")
    products = Product.objects.in_bulk(chosen)
    return render(request, "shop/basket.html", {"products": [products[pk] for pk in chosen if pk in products]})


def basket_count(request):
    """For the cached pages, which can't know it."""
    user = request.user.get_username() if request.user.is_authenticated else None
    return JsonResponse({"count": len(request.session.get("basket", [])), "user": user})


@require_POST
@login_required
def order(request):
    """Buys what is in the basket."""
    chosen = set(request.session.get("basket", []))
    if not chosen:
        return redirect("basket")
    with transaction.atomic():
        products = list(Product.objects.filter(pk__in=chosen))
        for found in products:
            if not Product.objects.filter(pk=found.pk, stock__gt=0).update(stock=F("stock") - 1):
                transaction.set_rollback(True)
                return HttpResponse(f"{found.name} is sold out", status=409)
        made = Order.objects.create(user=request.user, cents=sum(found.cents for found in products))
        made.products.set(products)
        # Not before the commit: the worker could be quicker than the database.
        tasks.send_order_mail.delay_on_commit(made.pk)
    request.session["basket"] = []
    return redirect("orders")


@login_required
def orders(request):
    """What the customer bought, and whether the mail about it has gone out."""
    made = Order.objects.filter(user=request.user).order_by("-pk").prefetch_related("products")
    return render(request, "shop/orders.html", {"orders": made[:50]})


def sales(request):
    """What beat's task counted last."""
    return JsonResponse(cache.get("sales") or {"orders": None})
