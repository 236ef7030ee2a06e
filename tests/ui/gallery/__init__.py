"""Pictures of every widget, for people and for a test."""
