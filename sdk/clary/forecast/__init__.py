"""Forecast jobs: from a CSV to quantiles, with candidates that are backtested, chosen, calibrated and combined."""
