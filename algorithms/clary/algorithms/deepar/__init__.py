"""DeepAR: probabilistic forecasts of many related time series by one recurrent network."""
