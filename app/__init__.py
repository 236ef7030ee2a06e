"""Stillframe: a desktop manager for VM snapshots. Everything below `app` works without Qt."""

__version__ = "0.1.0"
