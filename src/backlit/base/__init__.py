"""What every layer may use: errors, dtypes, shapes, trees, configuration."""
