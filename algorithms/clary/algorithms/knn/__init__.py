"""The k nearest rows of a sample, found by an index, vote on a label or are averaged."""
