"""The project's ASGI application: consumers that a channels worker runs (`python -m django runworker desk`)."""

import os

import django
from channels.consumer import AsyncConsumer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()


class Desk(AsyncConsumer):
    """Answers questions, and listens to a group once it is told to."""

    async def question(self, message):
        await self.channel_layer.send(message["reply_to"], {"type": "answer", "text": message["text"].upper()})

    async def join(self, message):
        await self.channel_layer.group_add(message["group"], self.channel_name)
        await self.channel_layer.send(message["reply_to"], {"type": "joined"})

    async def news(self, message):
        await self.channel_layer.send(message["reply_to"], {"type": "heard", "text": message["text"]})


application = ProtocolTypeRouter({"channel": ChannelNameRouter({"desk": Desk.as_asgi()})})
