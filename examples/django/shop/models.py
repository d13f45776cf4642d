"""What the shop sells, and to whom."""

from django.conf import settings
from django.db import models


class Product(models.Model):
    """Something on the shelf."""

    name = models.CharField(max_length=80)
    about = models.TextField()
    cents = models.PositiveIntegerField()
    stock = models.PositiveIntegerField()

    class Meta:
        ordering = ["name"]

    @property
    def price(self):
        return f"{self.cents // 100}.{self.cents % 100:02} €"


class Order(models.Model):
    """What somebody bought at one time."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    products = models.ManyToManyField(Product)
    cents = models.PositiveIntegerField()
    made = models.DateTimeField(auto_now_add=True)
    mailed = models.DateTimeField(null=True)

    @property
    def price(self):
        return f"{self.cents // 100}.{self.cents % 100:02} €"
