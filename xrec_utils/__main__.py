"""The reader's commands: `python -m xrec_utils check`, `lab`, `run`, `serve`, `fetch`.

Each hands its arguments on; `python -m xrec_utils run --help` tells them.
"""

import sys
from importlib import import_module

COMMANDS = {
    "check": ("xrec_tools.check", "is everything in place? OK or FAIL line by line"),
    "lab": ("xrec_tools.lab", "open JupyterLab at the first notebook"),
    "run": ("xrec_tools.run", "run notebooks without a window; changes no file"),
    "serve": ("xrec_utils.service.http", "the recommender as a web service"),
    "fetch": ("xrec_utils.language.weights", "fetch the small language models"),
}


USAGE = "\n".join(
    [
        "usage: python -m xrec_utils COMMAND [options]",
        "",
        *[f"  {name:<6} {what}" for name, (_, what) in COMMANDS.items()],
    ]
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command named first; returns its exit code, 2 for an unknown one.

    arguments: those after the program's name; None takes those of the terminal.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not words or words[0] not in COMMANDS:
        print(USAGE, file=sys.stderr)
        return 2
    module, _ = COMMANDS[words[0]]
    # the module is loaded by its name: most need packages that `check` must do without
    return int(import_module(module).main(words[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main())
