"""Rows and where they are kept."""
