"""Samples and generators that need no network."""
