"""The suite: one folder per algorithm, and the registry that names them."""
