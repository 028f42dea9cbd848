"""HTML out of Python values: whatever is not markup already is escaped."""

import base64
from collections.abc import Iterable
from html import escape

VOID = ("img", "link", "meta")
"""Elements without an end."""


class Markup(str):
    """Text that is HTML. Any other text is escaped where it becomes a part of an element."""


def element(tag: str, *children: str, **attributes) -> Markup:
    """An HTML element.

    Args:
        tag: its name.
        children: text or markup, in order.
        attributes: by name; an underscore stands for a hyphen and at the end for nothing, as
            `class_` must be written in Python. None leaves an attribute out.
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
    """Several pieces one after the other, text escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    )


def row(name: str, *cells: str, **attributes) -> Markup:
    """A row of a table, headed by its first cell."""
    values = (element("td", cell) for cell in cells)
    return element("tr", element("th", name, scope="row"), *values, **attributes)


def table(titles: Iterable[str], rows: Iterable[Markup], label: str, **attributes) -> Markup:
    """A table that scrolls by itself where the page is too narrow for it.

    Args:
        titles: one a column.
        rows: as `row` makes them.
        label: what it holds, for those who hear the page.
        attributes: of the table.
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
    """An image inside the page.

    Args:
        webp: the file's content.
        text: what it shows, for those who do not see it.
    """
    content = base64.b64encode(webp).decode("ascii")
    return element("img", src=f"data:image/webp;base64,{content}", alt=text)


def interval_mark(
    value: float,
    interval: list[float] | None,
    scale: tuple[float, float],
    reference: float | None = None,
) -> Markup:
    """A number and its interval as a dot on a line, drawn to a scale that rows share.

    It repeats the numbers beside it, so readers that speak the page pass over it.

    Args:
        value: the number.
        interval: its bounds; None for a dot alone.
        scale: the numbers at the left and the right end.
        reference: a number to compare with, as an upright stroke.
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
