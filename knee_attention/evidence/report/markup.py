"""Build HTML. Text that is not `Markup` is escaped."""

import base64
from collections.abc import Iterable
from html import escape

VOID = ("img", "link", "meta")
"""Elements without an end tag."""


class Markup(str):
    """Text that is HTML and is not escaped again."""


def element(tag: str, *children: str, **attributes) -> Markup:
    """An HTML element.

    Args:
        tag: name of the element.
        children: text or markup, in order.
        attributes: HTML attributes. An underscore becomes a hyphen; one at the end (`class_`) is
            removed. Attributes that are None are omitted.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{named}>")
    return Markup(f"<{tag}{named}>{join(children)}</{tag}>")


def join(children: Iterable[str]) -> Markup:
    """Concatenate text and markup; text is escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    )


def row(name: str, *cells: str, **attributes) -> Markup:
    """A table row whose first cell is its header."""
    values = (element("td", cell) for cell in cells)
    return element("tr", element("th", name, scope="row"), *values, **attributes)


def table(titles: Iterable[str], rows: Iterable[Markup], label: str, **attributes) -> Markup:
    """A table that scrolls horizontally on a narrow page.

    Args:
        titles: one per column.
        rows: rows made by `row`.
        label: description for screen readers.
        attributes: HTML attributes of the table.
    """
    heads = (element("th", title, scope="col") for title in titles)
    whole = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        **attributes,
    )
    return element("div", whole, class_="scroll", role="region", aria_label=label, tabindex=0)


def picture(webp: bytes, text: str) -> Markup:
    """An image that is embedded in the page.

    Args:
        webp: content of a WebP file.
        text: alternative text.
    """
    content = base64.b64encode(webp).decode("ascii")
    return element("img", src=f"data:image/webp;base64,{content}", alt=text)


def interval_mark(
    value: float,
    interval: list[float] | None,
    scale: tuple[float, float],
    reference: float | None = None,
) -> Markup:
    """A small plot of a number (dot) and its interval (line).

    Screen readers skip it, because a cell in the same row contains the numbers.

    Args:
        value: the number.
        interval: its bounds; None for only the dot.
        scale: the numbers at the left and right ends, equal in all rows.
        reference: a number to compare with, drawn as a vertical line.
    """

    def place(number: float) -> float:
        return round(4 + 112 * (number - scale[0]) / (scale[1] - scale[0]), 1)

    def line(left: float, right: float, top: int, bottom: int, kind: str) -> Markup:
        return element("line", x1=left, x2=right, y1=top, y2=bottom, class_=kind)

    parts = [line(4, 116, 8, 8, "axis")]
    if reference is not None:
        parts.append(line(place(reference), place(reference), 1, 15, "reference"))
    if interval:
        parts.append(line(place(interval[0]), place(interval[1]), 8, 8, "interval"))
    parts.append(element("circle", cx=place(value), cy=8, r=3.5))
    return element("svg", *parts, viewBox="0 0 120 16", class_="mark", aria_hidden="true")
