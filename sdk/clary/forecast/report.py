"""Stub."""
def write(result, folder): pass
