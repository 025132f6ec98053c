"""Data formats, one per module, reader and writer together."""
