"""What is done behind the visitors' backs: mails, and figures for the shop's owner."""

from datetime import timedelta
from smtplib import SMTPException, SMTPServerDisconnected

from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from .models import Order


@shared_task(bind=True, autoretry_for=(SMTPException, OSError), retry_backoff=0.5, retry_backoff_max=60, max_retries=10)
def send_order_mail(self, order_id):
    """Tells a customer what was ordered.

    A task may run twice: its worker is killed after the mail and before the acknowledgement, and it is given to another one. So it looks
    whether it is done already, and holds the row meanwhile.
    """
    if self.request.retries < settings.SHOP_MAIL_FAILURES:
        raise SMTPServerDisconnected("the mail server is out for lunch")
    with transaction.atomic():
        order = Order.objects.select_for_update().select_related("user").get(pk=order_id)
        if order.mailed is None:
            names = ", ".join(product.name for product in order.products.all())
            text = f"Dear {order.user},\n\nyou ordered: {names}.\nThat makes {order.price}.\n"
            send_mail(f"Your order {order.pk}", text, "shop@example.org", [order.user.email])
            order.mailed = timezone.now()
            order.save(update_fields=["mailed"])
    return self.request.retries


@shared_task(ignore_result=True)
def mail_forgotten_orders():
    """Sends the mails again that should long be out.

    Celery's transport fetches a task with one command and notes with a second one that it has it. If broker or worker is killed between the
    two, the task is gone: whichever server it is, and however durable. What must happen is therefore kept in the database,
    and looked for now and then. Twice does no harm (see above).
    """
    long_ago = timezone.now() - timedelta(seconds=settings.SHOP_FORGOTTEN_SECONDS)
    for order_id in Order.objects.filter(mailed=None, made__lt=long_ago).values_list("pk", flat=True):
        send_order_mail.delay(order_id)


@shared_task(ignore_result=True)
def count_sales():
    """Sums up all sales, for a page that shall not do that for each visitor. Beat sends it; one at a time is enough."""
    lock = cache.lock("counting-sales", timeout=60, blocking=False)
    if not lock.acquire():
        return
    try:
        cents = sum(Order.objects.values_list("cents", flat=True))
        sales = {"orders": Order.objects.count(), "cents": cents, "at": timezone.now().isoformat(timespec="seconds")}
        cache.set("sales", sales, timeout=None)
    finally:
        lock.release()
