"""The train and serve contract of the containers."""
