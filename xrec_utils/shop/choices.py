"""The log's choices, each with what the customer owned and how ready to buy they were."""

from collections.abc import Iterator

import numpy as np

from xrec_utils.shop.log import ShopData
from xrec_utils.shop.shop import PARTS


def choices(data: ShopData) -> Iterator[tuple[int, np.ndarray, int, float]]:
    """The log's choices from three or more different purchases, of things not owned.

    `shown` has the time of the visit, which the events lack: what is bought in a visit
    counts from the next one on.

    Args:
        data: a log.

    Yields:
        Customer by customer, oldest first: the customer's code; (n,) codes of what was
        bought on earlier visits, oldest first; the code of what was chosen; all parts
        of its utility but `earlier`, in logits, right to 4e-4, because the log keeps
        four digits of each part.

    Example:
        >>> from xrec_utils.shop import load_shop
        >>> len(next(choices(load_shop()))[1])
        3
    """
    reacted = data.shown[data.shown["reaction"] > 0]
    # whoever reacts browses, so the two tables go in step
    browsed = data.events.loc[data.events["behaviour"] == "browse", "event"]
    parts = data.parts.set_index("event").loc[browsed, list(PARTS[:-1])]
    reacted = reacted.assign(rest=parts.sum(axis=1).to_numpy())
    for user, shown in reacted.groupby("user"):
        # arrays, because the loop below asks thousands of times
        items, times, reactions, rests = shown.drop(columns="user").to_numpy().T
        for item, time, rest in zip(items.astype(int), times, rests, strict=True):
            owned = items[(reactions == 2) & (times < time)].astype(int)
            different = len(np.unique(owned)) == len(owned)
            if len(owned) >= 3 and different and item not in owned:
                yield int(user), owned, int(item), float(rest)
