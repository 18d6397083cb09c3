"""The names of the methods of `explain`, for those who need not load their code."""

NAMES = (
    "closed form",
    "all groups",
    "quadrature",
    "fourier",
    "running sums",
    "leverage",
    "permutations",
)
