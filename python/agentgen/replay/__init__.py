"""Replaying a trace against a server."""
