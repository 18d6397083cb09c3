"""The recommender as a web service: what it answers, how it is asked, how it bears a load."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "core": [
            "DIGITS",
            "PERMUTATIONS",
            "Service",
            "schema",
        ],
        "http": [
            "THREADS",
            "create_app",
        ],
        "load": [
            "Client",
            "histories",
            "many_clients",
            "question",
        ],
    },
)
