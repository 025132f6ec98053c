"""The candidates of a forecast job, a family per file."""
