"""Derivatives: the reverse and forward engines and the functions built on them."""
