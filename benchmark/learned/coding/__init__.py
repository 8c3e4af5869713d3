"""Integers to bytes and back."""
