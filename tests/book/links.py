"""The links of built pages, and which of them lead nowhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src"}
LOADED = {"link", "img", "script", "iframe"}  # fetched without anybody clicking


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if name := given.get("id"):
            self.ids.add(name)
        address = given.get(ADDRESSES.get(tag, ""))
        if address:
            (self.loads if tag in LOADED else self.links).append(address)


def broken(site: Path) -> list[str]:
    """`page: address` for every file or anchor that is not there, and all that a network gives."""
    site = site.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loads and parts.scheme != "data":
                    found.append(f"{path.relative_to(site)}: {address} is not in the book")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or not target.is_relative_to(site):
                found.append(f"{path.relative_to(site)}: {address} leads nowhere")
            elif anchor and target in pages and anchor not in pages[target].ids:
                found.append(f"{path.relative_to(site)}: {address} has no such place")
    return found
