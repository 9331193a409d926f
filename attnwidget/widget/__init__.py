"""Widgets: maps on a screen."""
