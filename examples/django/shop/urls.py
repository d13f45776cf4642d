"""The pages of the shop."""

from django.urls import path

from . import api, views

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("product/<int:pk>/", views.product, name="product"),
    path("basket/", views.basket, name="basket"),
    path("basket/count/", views.basket_count, name="basket-count"),
    path("order/", views.order, name="order"),
    path("orders/", views.orders, name="orders"),
    path("sales/", views.sales, name="sales"),
    path("api/products/", api.products, name="api"),
    path("api/simple/products/", api.products_simple, name="api-simple"),
]
