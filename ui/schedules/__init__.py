"""Scheduled snapshots: the wizard, the list of schedules with its history, properties, and what menus offer."""
