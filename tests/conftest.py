"""Shared by all tests: Hypothesis draws the same examples in every run, and takes the time it needs."""

from contextlib import suppress

with suppress(ImportError):  # the environment of the cross-checks has no Hypothesis
    from hypothesis import settings

    settings.register_profile("same", derandomize=True, deadline=None)
    settings.load_profile("same")
