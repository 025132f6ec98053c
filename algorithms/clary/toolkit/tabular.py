"""Rows of numbers in every format of the contract: which codec reads or writes which media type."""
