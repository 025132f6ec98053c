"""Latent Dirichlet allocation: topics of documents, by spectral decomposition of the moments of their words."""
