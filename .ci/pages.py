"""Look at every page of the built documentation, as a reader without a network would.

``python .ci/pages.py docs/_build/html`` opens the pages in headless Chromium at the
widths of a desktop and of a telephone, light and dark. It prints what sticks out, is
cut off, shows raw markup or is hard to read, requests that leave the folder, and links
that lead nowhere, and fails if there is anything. It needs Chromium on the PATH and
playwright; ``--pictures FOLDER`` takes screenshots instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WIDTHS = 1400, 390
THEMES = "light", "dark"
LOOK = Path(__file__).with_suffix(".js").read_text()


class Links(HTMLParser):
    """The targets of a page, and the places in it that others can lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect links, sources and ids."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.targets.add(value)
            elif name == "id" and value:
                self.places.add(value)


def dead_links(folder: Path, pages: list[Path]) -> Iterator[str]:
    """Yield links to files and places that do not exist."""
    of_pages = {page: Links(page) for page in pages}
    for page, links in of_pages.items():
        for target in sorted(links.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            name = unquote(parts.path)
            file = (page.parent / name).resolve() if name else page
            place = unquote(parts.fragment)
            if not file.exists():
                yield f"{page.relative_to(folder)}: no file: {target}"
            elif file in of_pages and place not in of_pages[file].places:
                yield f"{page.relative_to(folder)}: no such place: {target}"


def open_pages(browser, width: int, theme: str, pages: list[Path]) -> Iterator[tuple]:
    """Yield each page opened, its file, and what it asked of the network."""
    height = 900 if width > 1000 else 844
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, offline=True
    )
    asked: list[str] = []
    context.on(
        "request",
        lambda r: r.url.startswith(("file:", "data:", "blob:")) or asked.append(r.url),
    )
    context.on("requestfailed", lambda r: asked.append(f"{r.url} (failed)"))
    tab = context.new_page()
    for page in pages:
        asked.clear()
        tab.goto(page.as_uri(), wait_until="load")
        yield tab, page, asked
    context.close()


def looks(browser, folder: Path, pages: list[Path]) -> Iterator[str]:
    """Yield what is wrong with the pages in each width and theme."""
    for width in WIDTHS:
        for theme in THEMES:
            for tab, page, asked in open_pages(browser, width, theme, pages):
                faults = [f"request: {url}" for url in dict.fromkeys(asked)]
                for fault in faults + tab.evaluate(LOOK):
                    yield f"{page.relative_to(folder)}, {width} px, {theme}: {fault}"


def take_pictures(browser, folder: Path, pages: list[Path]) -> None:
    """Write a screenshot of the top of each page in each width and theme."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        for theme in THEMES:
            for tab, page, _ in open_pages(browser, width, theme, pages):
                name = f"{page.parent.name}_{page.stem}_{width}_{theme}.png"
                tab.screenshot(path=folder / name)


def main() -> int:
    """Return 1 if something is wrong with a page."""
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
        faults = [*dead_links(html, every), *looks(browser, html, pages)]
        browser.close()
    print(*faults, sep="\n")
    print(f"{len(pages)} pages: {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
