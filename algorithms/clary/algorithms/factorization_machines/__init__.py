"""Factorization machines: linear models with all pairs of features, for sparse rows."""
