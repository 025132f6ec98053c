"""Runs train and serve programs as local processes over a folder laid out like the contract's."""
