"""The client side of the seam: a session with typed calls, an object cache, and the watcher that feeds it."""

from app.client.cache import Delta, ObjectCache
from app.client.session import Session
from app.client.tasks import outcome, wait_for
from app.client.transport import Transport
from app.client.watcher import Watcher

__all__ = ["Delta", "ObjectCache", "Session", "Transport", "Watcher", "outcome", "wait_for"]
