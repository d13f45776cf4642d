"""`manage.py demo`: fills the shelves and makes a customer, once."""

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from shop.models import Product

PRODUCTS = [
    ("Astrolabe", "Brass, for two latitudes. Tells the hour by day and night.", 18900, 40),
    ("Hourglass", "Thirty minutes, give or take nothing.", 2450, 1000),
    ("Orrery", "Six planets; the seventh on request.", 64000, 12),
    ("Pocket sextant", "Fits a coat, finds the equator.", 9900, 75),
    ("Punched cards", "A thousand, blank. Patterns not included.", 1200, 5000),
    ("Slide rule", "Multiplies by adding. No batteries.", 3800, 300),
]


class Command(BaseCommand):
    """See the head of the file."""

    help = "Fills the shelves and makes the customer ada (password: engine), unless they are there."

    def handle(self, *args, **options):
        for name, about, cents, stock in PRODUCTS:
            Product.objects.get_or_create(name=name, defaults={"about": about, "cents": cents, "stock": stock})
        users = get_user_model().objects
        if not users.filter(username="ada").exists():
            users.create_user("ada", "ada@example.org", "engine")
