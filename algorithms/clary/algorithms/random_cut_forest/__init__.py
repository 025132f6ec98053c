"""Anomaly scores by a forest of robust random cut trees."""
