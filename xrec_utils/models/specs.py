"""How each model is built and fitted, its settings, and what was tried for it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from xrec_utils.data.features import FILM, USER, FeatureTable
from xrec_utils.data.splits import Split
from xrec_utils.keras_start import keras
from xrec_utils.models import (
    attributes,
    autoencoders,
    classic,
    recurrent,
    sequence,
    target_attention,
    user_item,
)
from xrec_utils.models.training import fit_next_item


@dataclass(frozen=True)
class Spec:
    """How a model is built and fitted, and what was tried for it. A new model is one
    row of SPECS.

    build(data, settings) returns the untrained model. fit(model, data, seed=...,
    **options) trains it in place and returns one row per epoch (none for a closed
    form). `data` is a Split, for feature models a FeatureTable.
    """

    build: Callable[[Any, dict[str, Any]], Any]
    fit: Callable[..., list[dict[str, float]]]
    settings: dict[str, Any]
    grid: tuple[dict[str, Any], ...] = ()


def _closed_form(model: Any, data: Split, seed: int = 0) -> list[dict[str, float]]:
    model.fit(data.train_histories(), data.n_items)
    return []


def _alternating(
    model: classic.ImplicitALS, data: Split, seed: int = 0
) -> list[dict[str, float]]:
    # it starts from random factors, so the seed of the run is its own
    model.seed = seed
    return _closed_form(model, data)


def _network(
    fit: Callable[..., list[dict[str, float]]], **fixed: Any
) -> Callable[..., list[dict[str, float]]]:
    """Fit on the training histories, with the epoch chosen on validation unless
    validation=None is passed.
    """

    def train(model: Any, data: Split, **options: Any) -> list[dict[str, float]]:
        """Train in place; options go before what is fixed."""
        # None is a choice: train all epochs
        if "validation" not in options:
            options["validation"] = data.cases("validation")
        return fit(
            model,
            data.train_histories(),
            **{**fixed, **options},
        )

    return train


def _built(build: Callable[..., Any], *given: str) -> Callable[[Split, dict], Any]:
    """Build from the attributes of the split that `given` names, and the settings."""

    def built(data: Split, settings: dict) -> Any:
        """The untrained model."""
        return build(
            *[getattr(data, name) for name in given],
            **settings,
        )

    return built


def _with_attributes(build: Callable[..., Any]) -> Callable[[Split, dict], Any]:
    return lambda data, settings: build(
        attributes.item_attributes(data.items),
        **settings,
    )


def _embedding_mlp(data: Split, settings: dict) -> user_item.UserItemRecommender:
    return user_item.UserItemRecommender(
        name="embedding_mlp",
        model=user_item.embedding_mlp(data.n_users, data.n_items, **settings),
        histories=data.train_histories(),
        n_items=data.n_items,
    )


def _fit_feature_mlp(
    model: keras.Model, data: FeatureTable, seed: int = 0, **options: Any
) -> list[dict[str, float]]:
    # Keras shuffles by the seed of `set_seed`; there is no other draw
    return user_item.fit_features(
        model,
        train=(data.x("train"), data.y("train")),
        validation=(data.x("validation"), data.y("validation")),
        **options,
    )


def _fit_two_branch(
    model: keras.Model, data: FeatureTable, seed: int = 0, **options: Any
) -> list[dict[str, float]]:
    # a softmax over two classes learns from a column for each
    train, validation = (
        (data.branches(part), keras.utils.to_categorical(data.y(part), 2))
        for part in ("train", "validation")
    )
    return user_item.fit_features(model, train, validation, **options)


def grid(**choices: tuple) -> tuple[dict[str, Any], ...]:
    """All combinations: four for every model, so that none is tuned harder than
    another.
    """
    return tuple(
        dict(zip(choices, values, strict=True)) for values in product(*choices.values())
    )


SPECS: dict[str, Spec] = {
    "popularity": Spec(_built(classic.Popularity), _closed_form, {}),
    "content": Spec(
        _built(classic.ContentBased, "items"),
        _closed_form,
        {"year": 2.0, "title": 1.0},
        grid(year=(1.0, 2.0), title=(0.5, 1.0)),
    ),
    "user_knn": Spec(
        _built(classic.UserKNN),
        _closed_form,
        {"n_neighbours": 10},
        grid(n_neighbours=(10, 25, 50, 100)),
    ),
    "item_knn": Spec(
        _built(classic.ItemKNN),
        _closed_form,
        {"n_neighbours": 100, "shrink": 5.0},
        grid(n_neighbours=(50, 100), shrink=(5.0, 20.0)),
    ),
    "ials": Spec(
        _built(classic.ImplicitALS),
        _alternating,
        {"width": 64, "w0": 0.3, "regularisation": 0.01},
        tuple(
            {"width": width, "w0": w0, "regularisation": penalty}
            for width, w0, penalty in (
                (32, 0.3, 0.003),
                (32, 0.1, 0.03),
                (64, 0.1, 0.03),
                (64, 0.3, 0.01),
            )
        ),
    ),
    "ease": Spec(
        _built(classic.EASE),
        _closed_form,
        {"regularisation": 500.0},
        grid(regularisation=(100.0, 200.0, 500.0, 1000.0)),
    ),
    "hybrid": Spec(
        _built(classic.HybridEASE, "items"),
        _closed_form,
        {"regularisation": 200.0, "weight": 20.0},
        grid(regularisation=(200.0, 500.0), weight=(20.0, 50.0)),
    ),
    "embedding_mlp": Spec(
        _embedding_mlp,
        _network(user_item.fit_pairs),
        {"width": 16, "product_width": 16},
        grid(width=(16, 32), product_width=(0, 16)),
    ),
    "pooled_mlp": Spec(
        _with_attributes(sequence.pooled_mlp),
        _network(fit_next_item),
        {"width": 64, "dropout": 0.3},
        grid(width=(64, 128), dropout=(0.3, 0.5)),
    ),
    "attention": Spec(
        _with_attributes(sequence.attention_recommender),
        _network(fit_next_item),
        {"blocks": 1, "dropout": 0.3},
        grid(blocks=(1, 2), dropout=(0.3, 0.5)),
    ),
    "gru": Spec(
        _with_attributes(recurrent.gru_recommender),
        _network(fit_next_item, compiled=False, rate=3e-3),
        {"units": 128, "dropout": 0.3},
        grid(units=(64, 128), dropout=(0.3, 0.5)),
    ),
    "gru_attention": Spec(
        _with_attributes(recurrent.gru_attention_recommender),
        _network(fit_next_item, compiled=False, rate=3e-3),
        {"units": 64, "dropout": 0.3},
        grid(units=(64, 128), dropout=(0.3, 0.5)),
    ),
    "din": Spec(
        _with_attributes(target_attention.TargetAttention),
        _network(fit_next_item, rate=3e-3, batch=16),
        {"width": 64, "dropout": 0.3},
        grid(width=(32, 64), dropout=(0.3, 0.5)),
    ),
    "dae": Spec(
        _built(autoencoders.dae, "n_items"),
        _network(autoencoders.fit_autoencoder, epochs=100, patience=10),
        {"dropout": 0.5},
        grid(dropout=(0.3, 0.5, 0.6, 0.7)),
    ),
    "vae": Spec(
        _built(autoencoders.vae, "n_items"),
        _network(autoencoders.fit_autoencoder, rate=2e-3, epochs=100, patience=10),
        {"dropout": 0.5, "beta": 0.2},
        grid(dropout=(0.5, 0.7), beta=(0.05, 0.2)),
    ),
    "feature_mlp": Spec(
        lambda data, settings: user_item.feature_mlp(len(data.names)),
        _fit_feature_mlp,
        {},
    ),
    "two_branch": Spec(
        lambda data, settings: user_item.two_branch_mlp(
            len(USER), len(FILM), **settings
        ),
        _fit_two_branch,
        {},
    ),
}
FEATURE_MODELS = ("feature_mlp", "two_branch")
