"""The New VM wizard, a module for each question."""
