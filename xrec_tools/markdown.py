"""Tables as Markdown, for README and the folder data/bench."""

from collections.abc import Iterable, Sequence

RULES = {"l": "---", "r": "--:"}


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], aligned: str = ""
) -> str:
    """A Markdown table.

    Args:
        header: names of the columns.
        rows: cells in the order of the columns, as texts or with a plain text form.
        aligned: "l" or "r" for each column; all to the left if not given.

    Returns:
        Lines joined by line breaks, without one at the end.

    Raises:
        ValueError: `aligned` names another number of columns than the header.

    Example:
        >>> print(table(["Film", "Stars"], [["Heat", 4]], "lr"))
        | Film | Stars |
        |---|--:|
        | Heat | 4 |
    """
    aligned = aligned or "l" * len(header)
    if len(aligned) != len(header):
        raise ValueError(f"aligned={aligned!r} must have {len(header)} letters")
    rules = "|".join(RULES[side] for side in aligned)
    cells = [_line(row) for row in rows]
    return "\n".join([_line(header), f"|{rules}|", *cells])


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
