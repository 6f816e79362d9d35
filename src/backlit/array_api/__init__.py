"""The Array API namespace, made from the registry."""
