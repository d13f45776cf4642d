"""The pages of the project."""

from django.urls import path

from . import views

urlpatterns = [
    path("page/minute/", views.page_for_a_minute),
    path("page/second/", views.page_for_a_second),
    path("page/theme/", views.page_per_theme),
    path("page/failing/", views.failing_page),
    path("page/large/", views.large_page),
    path("login/", views.log_in),
    path("logout/", views.log_out),
    path("whoami/", views.who_am_i),
    path("basket/", views.basket),
    path("session/flush/", views.flush_session),
    path("session/cycle/", views.cycle_session_key),
    path("session/expire/", views.expire_session),
    path("limited/", views.limited),
    path("limited/atomic/", views.limited_atomically),
    path("limited/ratelimit/", views.limited_by_ratelimit),
    path("limited/throttled/", views.throttled),
    path("sign-up/", views.sign_up),
]
