"""Linear models for classes and numbers, chosen among many candidates that train side by side."""
