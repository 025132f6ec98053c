"""What every algorithm shares: declarations, jobs, channels, codecs, artifacts."""
