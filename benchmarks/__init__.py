"""Clary and its peers side by side: quality, time and the ratio, as text and as JSON."""
