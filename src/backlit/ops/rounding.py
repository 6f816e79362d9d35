"""Rounding, signs and remainders."""
