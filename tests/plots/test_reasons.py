"""Figures: each says something true in its alternative text, is labelled, fits its
frame and is the same every time.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from traitlets.config import Config

from xrec_utils.games.explanation import Explanation
from xrec_utils.keras_start import keras
from xrec_utils.plots import (
    judging,
    learning,
    networks,
    reasons,
    style,
    tables,
)

LONG = "Lord of the Rings: The Fellowship of the Ring, The (2001)"
FILMS = ("Alien (1979)", LONG, "Up (2009)", "Fargo (1996)", "Babe (1995)")
REASONS = Explanation(
    FILMS,
    "score of Heat (1995)",
    np.array([0.1, -0.7, 0.4, 0.0, 0.2]),
    -1.0,
    -1.0,
    "a sum by hand",
    error=np.full(5, 0.05),
)
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(30, 4))
EFFECTS = FEATURES * [0.1, -2.0, 0.5, 0.0]
COLUMNS = ["age", "popularity of the film over all time", "taste", "hour"]
MANY = [
    Explanation(tuple(COLUMNS), "P(like)", row, 0.0, 1.0, "by hand") for row in EFFECTS
]
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.2, 0.5, 0.3]])
KERNEL = np.array([[0.1, -0.9], [0.2, 0.3], [0.0, 0.4]])
METRICS = pd.DataFrame(
    {"mean": [0.02, 0.05], "low": [0.01, 0.04], "high": [0.03, 0.06]},
    index=["popularity", "EASE"],
)

TABLE = pd.DataFrame(FEATURES, columns=COLUMNS)
EPOCHS = [
    {"epoch": i + 1, "loss": 3 - i, "validation_ndcg": ndcg}
    for i, ndcg in enumerate([0.1, 0.3, 0.2])
]


@pytest.fixture(scope="module", autouse=True)
def shell(tmp_path_factory):
    """An IPython shell, which is what captures displayed outputs."""
    InteractiveShell.instance(
        ipython_dir=str(tmp_path_factory.mktemp("ipython")),
        config=Config(HistoryManager={"enabled": False}),
    )
    yield
    InteractiveShell.clear_instance()


class Drawn:
    """What one call displayed, and the figure behind it."""

    def __init__(self, draw, *args, **options):
        figures = []
        with pytest.MonkeyPatch.context() as patch:
            save = Figure.savefig
            patch.setattr(
                Figure,
                "savefig",
                lambda fig, *a, **k: (figures.append(fig), save(fig, *a, **k))[1],
            )
            with capture_output() as captured:
                assert draw(*args, **options) is None
        (self.output,), (self.figure,) = captured.outputs, figures
        self.noise = captured.stdout + captured.stderr
        png = self.output.data["image/png"]
        self.png = png if isinstance(png, bytes) else base64.b64decode(png)
        self.alt = self.output.metadata["image/png"]["alt"]
        self.title = self.figure.get_suptitle().replace("\n", " ")
        self.axes = [
            axes for axes in self.figure.axes if axes.get_label() != "<colorbar>"
        ]


def model(name="net", skip=False):
    keras.utils.set_random_seed(0)
    user, film = keras.Input((3,), name="user"), keras.Input((4,), name="film")
    left, right = (
        keras.layers.Dense(5, activation="relu", name=n)(x)
        for n, x in (("left", user), ("right", film))
    )
    both = keras.layers.Multiply(name="product")([left, right])
    if skip:
        both = keras.layers.Add(name="sum")(
            [keras.layers.Dropout(0.1, name="drop")(both), left]
        )
    return keras.Model(
        [user, film], keras.layers.Dense(1, name="score")(both), name=name
    )


def deep(layers):
    parts = [
        keras.Input((3,), name="row"),
        *(keras.layers.Dense(3, name=f"step_{i}") for i in range(layers)),
    ]
    return keras.Sequential(parts, name="deep")


CALLS = {
    "reasons": (reasons.history_reasons, REASONS, "stars", [5, 0.5, np.nan, 3, 4]),
    "bar": (reasons.shap_bar, MANY),
    "swarm": (reasons.shap_beeswarm, MANY, "features", FEATURES),
    "heatmap": (reasons.shap_heatmap, MANY),
    "dependence": (reasons.dependence, FEATURES[:, 1], "values", EFFECTS[:, 1], "xlabel", "popularity"),
    "coloured": (reasons.dependence, FEATURES[:, 2], "values", EFFECTS[:, 2], "xlabel", "taste",
                 "colour_by", FEATURES[:, 0], "colour_label", "age"),
    "deletion": (judging.deletion_curve, {"Shapley": np.array([3.0, 1, 0]), "random order": np.array([3.0, 2, 0])}),
    "attention": (learning.attention_heatmap, WEIGHTS, "labels", ["[start]", LONG, "Up (2009)"]),
    "weights": (learning.weight_heatmap, KERNEL),
    "named weights": (learning.weight_heatmap, KERNEL, "rows", COLUMNS[:3], "columns", ["horror", "comedy"]),
    "three kernels": (learning.weight_heatmaps, {"trained": KERNEL, "twin": -2 * KERNEL, "untrained": KERNEL[:, :1]},
                      "title", "Two of three say the same", "rows", COLUMNS[:3]),
    "scatter": (tables.scatter, np.arange(1, 9001), "y", np.arange(9000) ** 2 + 1, "xlabel", "ratings",
                "ylabel", "seconds", "log", "xy"),
    "few": (tables.scatter, np.arange(5), "y", -np.arange(5), "xlabel", "ratings", "ylabel", "seconds"),
    "box": (tables.box, {"Drama": [1, 2, 3, np.nan], "Horror": [4, 5, 9]}, "xlabel", "stars", "ylabel", "genre",
            "title", "Stars is highest for Horror (median 5)"),
    "one box": (tables.box, {"all": [1, 10, 100]}, "xlabel", "minutes", "ylabel", "users", "log", True,
                "title", "Minutes: 10 in the median"),
    "splits": (tables.split_rows, {"random": ["test", "train", "train"], "by time": ["train", "train", "test"]},
               "title", "Only a split by time keeps the last event for the test"),
    "correlation": (tables.correlation_heatmap, TABLE.assign(twin=-FEATURES[:, 2] * 3)),
    "wide correlation": (tables.correlation_heatmap, pd.concat([TABLE.add_prefix(f"{i} ") for i in range(3)], axis=1)),
    "training": (learning.training_curve, {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.5, 2.5]}),
    "rows of training": (learning.training_curve, EPOCHS),
    "map": (learning.embedding_map, np.r_[FEATURES[:10, :2] * 0.1, FEATURES[10:, :2] + 9],
            "groups", ["near"] * 10 + list("abcdefghij") * 2, "labels", {0: LONG}),
    "metrics": (judging.metric_table_bar, METRICS),
    "structure": (networks.structure, model()),
    "skipping": (networks.structure, model(skip=True), "skip", ["Dropout"]),
    "deep structure": (networks.structure, deep(9)),
}  # fmt: skip
DRAWINGS = {"structure", "skipping", "deep structure"}


def call(name):
    draw, first, *rest = CALLS[name]
    return Drawn(draw, first, **dict(zip(rest[::2], rest[1::2], strict=True)))


@pytest.fixture(scope="module")
def drawn():
    """Each figure once; treated as read only."""
    return {name: call(name) for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_figure_keeps_the_promises_of_all_figures(drawn, name):
    found = drawn[name]
    assert found.noise == ""
    assert (
        len(found.alt) > 40
        and "\n" not in found.alt
        and found.alt == found.output.data["text/plain"]
    )
    assert len(found.title) > 10 and found.title[0] == found.title[0].upper()
    image = Image.open(io.BytesIO(found.png))
    image.load()
    assert 400 < image.width <= 1050 and 100 < image.height < 1050
    assert len(found.png) < 80_000
    if name not in DRAWINGS:
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in found.axes)


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_cut_off_or_small(drawn, name):
    pixels = np.asarray(Image.open(io.BytesIO(drawn[name].png)).convert("L"))
    assert (
        min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
        == 255
    )
    shown = [
        text
        for text in drawn[name].figure.findobj(Text)
        if text.get_text() and text.get_visible()
    ]
    assert min(text.get_fontsize() for text in shown) >= 11


@pytest.mark.parametrize("name", ["reasons", "swarm", "attention", "structure"])
def test_the_same_bytes_every_time(drawn, name):
    assert call(name).png == drawn[name].png


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "reasons",
            [
                f"{LONG} −0.7",
                "1 of 5 effects are negative",
                "score of Heat (1995)",
                "a sum by hand",
            ],
        ),
        (
            "bar",
            [
                f"popularity of the film over all time {np.abs(EFFECTS[:, 1]).mean():.3g}",
                "30 rows",
            ],
        ),
        ("swarm", ["its high values mostly lower the prediction", "30 predictions"]),
        (
            "heatmap",
            [
                "4 features on 30 predictions",
                "popularity of the film over all time is strongest",
            ],
        ),
        ("dependence", ["falls with popularity", "rank correlation −1"]),
        ("coloured", ["rises with taste", "Colour shows age"]),
        ("deletion", ["Shapley from 3 to 0, mean 1.33", "Lowest on average: Shapley"]),
        ("attention", [f"Up (2009), gives most to {LONG}: 0.5 of 1"]),
        (
            "weights",
            [
                "3 by 2 numbers (weight)",
                "−0.9, from input 0 to neuron 1",
                "67% are positive",
            ],
        ),
        ("named weights", ["from age to comedy"]),
        (
            "three kernels",
            [
                "3 weight heatmaps",
                "trained up to 0.9, twin up to 1.8 and untrained up to 0.2",
            ],
        ),
        ("scatter", ["9000 points", "rank correlation 1."]),
        ("few", ["5 points", "rank correlation −1."]),
        ("box", ["Drama 2 and Horror 5"]),
        ("one box", ["all 10"]),
        (
            "splits",
            [
                "event for the test. Marks",
                "random: 2 train and 1 test; by time: 2 train and 1 test",
            ],
        ),
        ("correlation", ["−1, between taste and twin"]),
        ("training", ["3 epochs", "Best validation loss 1.5 in epoch 2"]),
        ("rows of training", ["Best validation ndcg 0.3 in epoch 2"]),
        ("map", ["30 points", "near lies closest together"]),
        ("metrics", ["EASE 0.050 (0.040 to 0.060)", "Highest: EASE"]),
        ("structure", ["model net with 6 layers and 51 weights", "product 5"]),
        ("skipping", ["with 7 layers", "sum 5"]),
        ("deep structure", ["10 layers and 108 weights"]),
    ],
)
def test_alternative_text_is_true(drawn, name, words):
    for word in words:
        assert word in drawn[name].alt


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("reasons", f"{LONG} is the strongest reason against the score of Heat (1995)"),
        (
            "swarm",
            "High values of popularity of the film over all time mostly lower the prediction",
        ),
        ("attention", f"The last position looks most at {LONG} (50%)"),
        ("deletion", "The score is lowest on average in the order of Shapley"),
        ("few", "Seconds falls with ratings (rank correlation −1)"),
        ("correlation", "Taste and twin go opposite ways most (rank correlation −1)"),
        ("metrics", "EASE has the highest NDCG@10"),
    ],
)
def test_composed_title_is_the_message(drawn, name, title):
    assert drawn[name].title == title


def test_given_title_and_alternative_text_win():
    found = Drawn(
        learning.training_curve,
        EPOCHS,
        title="It goes up and down",
        alt="A line of three epochs.",
    )
    assert (found.title, found.alt) == (
        "It goes up and down",
        "A line of three epochs.",
    )


def test_bars_are_the_whole_explanation():
    axes = Drawn(
        reasons.history_reasons, REASONS, k=2, stars=[5, 0.5, np.nan, 3, 4]
    ).axes[0]
    bars = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(bars, [-0.7, 0.4, 0.3])
    assert sum(bars) == pytest.approx(REASONS.values.sum())
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (
        labels[0].endswith("0.5★")
        and "★" not in labels[1]
        and labels[2] == "the other 3 together"
    )
    assert [bar.get_facecolor() for bar in axes.patches[:2]] == [
        style.mpl.colors.to_rgba(colour) for colour in (style.NEGATIVE, style.POSITIVE)
    ]


def test_reasons_without_errors_draw_no_lines():
    plain = Explanation(FILMS[:1], "P(like)", np.array([0.3]), 0.0, 0.3, "exact")
    found = Drawn(reasons.history_reasons, plain)
    assert "stated errors" not in found.figure.get_supxlabel()
    assert found.title == "Alien (1979) is the strongest reason for P(like)"


def test_reasons_that_are_no_effects_name_their_unit():
    found = Drawn(reasons.history_reasons, REASONS, xlabel="share of the attention")
    assert found.axes[0].get_xlabel() == "share of the attention"


@pytest.mark.parametrize("name", ["heatmap", "weights", "correlation"])
def test_signed_colours_are_centred_on_zero(drawn, name):
    (image,) = drawn[name].axes[0].images
    low, high = image.get_clim()
    assert low == -high
    np.testing.assert_allclose(image.cmap(image.norm(0))[:3], 1, atol=0.01)


def test_kernels_side_by_side_share_one_scale(drawn):
    panels = drawn["three kernels"].axes
    assert [axes.get_title() for axes in panels] == ["trained", "twin", "untrained"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-1.8, 1.8)}
    np.testing.assert_array_equal(panels[1].images[0].get_array(), -2 * KERNEL)


def test_heatmap_columns_go_from_low_to_high(drawn):
    grid = np.asarray(drawn["heatmap"].axes[0].images[0].get_array())
    assert (np.diff(grid.sum(axis=0)) >= 0).all()


def test_swarm_shows_every_row_where_it_is(drawn):
    first = drawn["swarm"].axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(np.sort(first[:, 0]), np.sort(EFFECTS[:, 1]))
    assert np.abs(first[:, 1]).max() <= 0.37


def test_log_axes_carry_plain_numbers(drawn):
    labels = [label.get_text() for label in drawn["scatter"].axes[0].get_yticklabels()]
    assert "1,000,000" in labels and not any("e" in label for label in labels)


def test_a_large_scatter_says_what_it_leaves_out(drawn):
    assert drawn["scatter"].figure.get_supxlabel() == "3,000 of 9,000 points drawn"
    assert len(drawn["scatter"].axes[0].collections[0].get_offsets()) == 3000
    assert drawn["few"].figure.get_supxlabel() == ""


def test_matrix_and_explanations_draw_alike():
    assert (
        Drawn(reasons.shap_bar, EFFECTS, names=COLUMNS).png
        == Drawn(reasons.shap_bar, MANY).png
    )
    assert "x1 " in Drawn(reasons.shap_bar, EFFECTS).alt


def test_constant_values_are_drawn_too():
    flat = Drawn(reasons.dependence, np.ones(5), np.ones(5), "age")
    assert "hardly changes" in flat.alt
    assert "strongest is 0" in Drawn(learning.weight_heatmap, np.zeros((2, 2))).alt


def test_attention_shows_the_latest_positions():
    weights = np.tril(np.ones((20, 20))) / np.arange(1, 21)[:, None]
    found = Drawn(
        learning.attention_heatmap, weights, [f"film {i}" for i in range(20)], k=6
    )
    assert found.axes[0].images[0].get_array().shape == (6, 6)
    assert found.axes[0].get_yticklabels()[-1].get_text() == "film 19"


def test_layer_graph_follows_branches_and_skips():
    steps, edges = networks.layer_graph(model(skip=True), skip=["Dropout"])
    assert steps["left"] == ("Dense", "5", 20) and steps["film"] == ("Input", "4", 0)
    assert set(edges) == {
        ("user", "left"), ("film", "right"), ("left", "product"), ("right", "product"), ("product", "sum"),
        ("left", "sum"), ("sum", "score"),
    }  # fmt: skip


def test_layer_graph_of_nested_models_stays_with_the_outer_one():
    inner = model("inner")
    user, film = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    outer = keras.Model(
        [user, film], keras.layers.Dense(2, name="end")(inner([user, film]))
    )
    steps, edges = networks.layer_graph(outer)
    assert steps["inner"] == ("Functional", "1", 51)
    assert set(edges) == {("a", "inner"), ("b", "inner"), ("inner", "end")}


def test_boxes_never_overlap():
    levels = [["a"], ["b", "c", "d"], ["e", "f"], ["g"]]
    edges = [
        ("a", "b"),
        ("a", "c"),
        ("a", "d"),
        ("d", "e"),
        ("d", "f"),
        ("e", "g"),
        ("f", "g"),
    ]
    places = networks._places(levels, edges, 3)
    for level in levels:
        x = sorted(places[name][0] for name in level)
        assert x[0] >= 0.5 and x[-1] <= 2.5
        assert (np.diff(x) >= 1 - 1e-9).all()


def test_what_cannot_be_drawn_is_named():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="alt is empty"):
        learning.training_curve(EPOCHS, alt="  ")
    with pytest.raises(ValueError, match=r"weights\[layer, head\]"):
        learning.attention_heatmap(np.ones((2, 2, 3, 3)), ["a", "b", "c"])
    with pytest.raises(ValueError, match="needs two axes"):
        learning.weight_heatmap(np.ones(3))
    with pytest.raises(ValueError, match="two or more arrays"):
        learning.weight_heatmaps({"one": KERNEL}, "Alone")
    with pytest.raises(ValueError, match="different numbers of inputs"):
        learning.weight_heatmaps({"one": KERNEL, "cut": KERNEL[:2]}, "Unequal")
    with pytest.raises(ValueError, match=r"features has shape \(30, 2\)"):
        reasons.shap_beeswarm(MANY, FEATURES[:, :2])
    with pytest.raises(ValueError, match="no column high, low"):
        judging.metric_table_bar(METRICS[["mean"]])
    with pytest.raises(ValueError, match="Own has no layer graph"):
        networks.structure(Own())
