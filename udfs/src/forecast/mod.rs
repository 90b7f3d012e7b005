//! Forecasting: models over plain slices, and the `forecast` group function.
