"""K-means clustering of streamed rows."""
