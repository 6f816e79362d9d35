"""How soon the page of a large graph is on the screen, in headless Chromium: `python tools/measure_pages.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import sync_playwright

from tests.show.explore.conftest import OFFLINE, chromium
from tests.show.explore.test_large import page_of, shown

MARKS = "['first-contentful-paint', 'graph shown'].map(n => performance.getEntriesByName(n)[0]?.startTime)"


def main() -> None:
    """Measure and print."""
    path = chromium()
    if path is None:
        sys.exit("There is no Chromium here: make browser installs it.")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(OFFLINE))
        for nodes in (1000, 5000):
            page, times = page_of(nodes), []
            for i in range(5):
                tab, problems = shown(browser, page, Path(folder) / f"{nodes}-{i}.html")
                tab.wait_for_function(f"() => {MARKS}.every(t => t !== undefined)")
                times.append(tab.evaluate(MARKS))
                tab.close()
                assert not problems, problems
            paint, graph = (median(t) for t in zip(*times, strict=True))
            print(f"{nodes} nodes, {len(page.html) / 1024:,.0f} KiB: first paint {paint:.0f} ms, graph {graph:.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
