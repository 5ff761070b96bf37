"""Check every page of the built documentation in a browser, without a network.

``python .ci/pages.py docs/_build/html`` opens the pages in headless Chromium at the
widths of a desktop and of a telephone, with the light and the dark theme. It prints
elements that are too wide or cut off, raw markup, low contrast, network requests, and
dead links, and fails if there are any. It needs Chromium on the PATH and playwright.
``--pictures FOLDER`` takes screenshots instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import unquote, urlsplit

WIDTHS = 1400, 390
THEMES = "light", "dark"
FIND_FAULTS = Path(__file__).with_suffix(".js").read_text()


class Links(HTMLParser):
    """The links of a page, and the ids of its elements, to which others can link."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: set[str] = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect links, sources and ids."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.targets.add(value)
            elif name == "id" and value:
                self.ids.add(value)


def dead_links(folder: Path, pages: list[Path]) -> Iterator[str]:
    """Yield links to files and ids that do not exist."""
    of_pages = {page: Links(page) for page in pages}
    for page, links in of_pages.items():
        for target in sorted(links.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            name = unquote(parts.path)
            file = (page.parent / name).resolve() if name else page
            fragment = unquote(parts.fragment)
            if not file.exists():
                yield f"{page.relative_to(folder)}: no file: {target}"
            elif file in of_pages and fragment not in of_pages[file].ids:
                yield f"{page.relative_to(folder)}: no such id: {target}"


def open_pages(browser, width: int, theme: str, pages: list[Path]) -> Iterator[tuple]:
    """Yield an open tab for each page, its file, and its network requests."""
    height = 900 if width > 1000 else 844
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, offline=True
    )
    urls: list[str] = []
    local = "file:", "data:", "blob:"
    context.on("request", lambda r: r.url.startswith(local) or urls.append(r.url))
    context.on("requestfailed", lambda r: urls.append(f"{r.url} (failed)"))
    tab = context.new_page()
    for page in pages:
        urls.clear()
        tab.goto(page.as_uri(), wait_until="load")
        yield tab, page, urls
    context.close()


def faults_of(browser, folder: Path, pages: list[Path]) -> Iterator[str]:
    """Yield the faults of the pages for each width and theme."""
    for width, theme in product(WIDTHS, THEMES):
        for tab, page, urls in open_pages(browser, width, theme, pages):
            requests = [f"request: {url}" for url in dict.fromkeys(urls)]
            for fault in requests + tab.evaluate(FIND_FAULTS):
                yield f"{page.relative_to(folder)}, {width} px, {theme}: {fault}"


def take_pictures(browser, folder: Path, pages: list[Path]) -> None:
    """Write a screenshot of the top of each page for each width and theme."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, theme in product(WIDTHS, THEMES):
        for tab, page, _ in open_pages(browser, width, theme, pages):
            name = f"{page.parent.name}_{page.stem}_{width}_{theme}.png"
            tab.screenshot(path=folder / name)


def main() -> int:
    """Print the faults of the pages; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("html", type=Path, help="the folder of the built pages")
    parser.add_argument("pages", nargs="*", help="some pages of it, instead of all")
    parser.add_argument("--pictures", type=Path, help="take screenshots into a folder")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    html = options.html.resolve()
    every = [p for p in sorted(html.rglob("*.html")) if "_static" not in p.parts]
    pages = [html / name for name in options.pages] or every
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        if options.pictures:
            take_pictures(browser, options.pictures, pages)
            return 0
        faults = [*dead_links(html, every), *faults_of(browser, html, pages)]
        browser.close()
    print(*faults, sep="\n")
    print(f"{len(pages)} pages: {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
