"""Principal component analysis of streamed rows."""
