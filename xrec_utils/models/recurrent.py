"""Recurrent recommenders: a GRU over the history, with and without attention.

Both are encoders for `sequence.HistoryRecommender`, so the item table, the windows, the
scoring rule and the training loop are those of the attention model. Train them with
fit_next_item(..., compiled=False): XLA is several times slower at a GRU's steps.
"""

import numpy as np

from xrec_utils.keras_start import keras, layers, ops, tf
from xrec_utils.models.encoders import CausalMask, ItemTable, encoder_inputs
from xrec_utils.models.sequence import HistoryRecommender


def _gru_states(
    units: int, dropout: float, width: int
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Read vectors (batch, length, width) from the left, from the zero state.

    Returns the inputs (vectors, present) and the states (batch, length, units). The
    gates have no bias: a zero vector then leaves the zero state at zero, so padding on
    the left changes nothing.
    """
    vectors, present = encoder_inputs(width)
    dropped = layers.Dropout(dropout, name="dropout_in")(
        # zero vectors at padded places
        vectors * ops.cast(present, "float32")[..., None],
    )
    gru = layers.GRU(units, return_sequences=True, use_bias=False, name="gru")
    return [vectors, present], gru(dropped)


def _to_items(states: tf.Tensor, width: int, dropout: float) -> tf.Tensor:
    """Project states (batch, length, …) to the items' width."""
    # Python makes the outer layer first, and layers draw their seeds in this order.
    projected = layers.Dense(width, name="to_items")(
        layers.Dropout(dropout, name="dropout_out")(states),
    )
    return layers.LayerNormalization(epsilon=1e-6, name="final_norm")(projected)


def gru_recommender(
    attributes: np.ndarray,
    width: int = 64,
    units: int = 128,
    dropout: float = 0.3,
    window: int = 50,
) -> HistoryRecommender:
    """Build the untrained GRU4Rec on item attributes (n_items, a).

    A GRU, projected to the items' width. Source: Hidasi et al. 2016, arXiv:1511.06939.
    """
    inputs, states = _gru_states(units, dropout, width)
    return HistoryRecommender(
        name="gru",
        encoder=keras.Model(
            inputs,
            outputs=_to_items(states, width, dropout),
            name="encoder",
        ),
        table=ItemTable(attributes, width),
        window=window,
    )


def gru_attention_recommender(
    attributes: np.ndarray,
    width: int = 64,
    units: int = 128,
    dropout: float = 0.3,
    window: int = 50,
) -> HistoryRecommender:
    """Build the untrained NARM on item attributes (n_items, a).

    A GRU whose last state looks back: the current state is the query of one attention
    head over all states so far; state and answer side by side are projected to the
    items' width. The head compares by scaled dot product, where NARM uses a small
    network. Source: Li et al. 2017, doi:10.1145/3132847.3132926.
    """
    inputs, states = _gru_states(units, dropout, width)
    attention = layers.MultiHeadAttention(1, width, dropout=dropout, name="attention_1")
    mixed, weights = attention(
        query=states,
        value=states,
        # inputs[1] says which places hold a film
        attention_mask=CausalMask(name="causal_mask")(inputs[1]),
        return_attention_scores=True,
    )
    both = layers.Concatenate(name="state_and_look_back")([states, mixed])
    return HistoryRecommender(
        name="gru_attention",
        encoder=keras.Model(
            inputs,
            outputs=_to_items(both, width, dropout),
            name="encoder",
        ),
        table=ItemTable(attributes, width),
        maps=keras.Model(inputs, {"attention_1": weights}, name="maps"),
        window=window,
    )
