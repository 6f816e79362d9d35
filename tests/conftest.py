"""Shared by all tests: Hypothesis draws the same examples in every run and takes the time it needs; Ctrl-C is heard."""

import signal
from contextlib import suppress

with suppress(ImportError):  # the environment of the cross-checks has no Hypothesis
    from hypothesis import settings

    settings.register_profile("same", derandomize=True, deadline=None)
    settings.load_profile("same")

# A shell lets programs in the background ignore Ctrl-C, and so would the tests of what it does.
signal.signal(signal.SIGINT, signal.default_int_handler)
