"""`grad` and its relatives."""
