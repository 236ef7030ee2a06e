"""Killing the engine at every named point of its work, and looking at what is left."""
