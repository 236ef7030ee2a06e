"""All objects in memory, written through SQLAlchemy Core to SQLite, with reverse links and a change log."""

from app.store.database import StoreDamaged
from app.store.feed import Change, Feed, Subscription
from app.store.store import Store, Transaction

__all__ = ["Change", "Feed", "Store", "StoreDamaged", "Subscription", "Transaction"]
