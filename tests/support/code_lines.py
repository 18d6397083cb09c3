"""How long a function is for its reader."""

import ast
import inspect
import textwrap


def code_lines(function) -> int:
    """Lines of a function that a notebook shows: no docstring, comment or blank line."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    first = definition.body[1] if ast.get_docstring(definition) else definition.body[0]
    signature = source.splitlines()[: definition.body[0].lineno - 1]
    body = source.splitlines()[first.lineno - 1 :]
    shown = [line.strip() for line in signature + body]
    return sum(bool(line) and not line.startswith("#") for line in shown)
