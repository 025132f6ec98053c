"""Gradient boosted trees and linear models on the XGBoost library."""
