"""Exercises that check themselves: `exercises.check("00.1", answer)`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checking": [
            "check",
        ],
    },
)
