"""Windows, negatives, the loss and early stopping, on histories with a rule to learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_utils import set_seed
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import keras, tf
from xrec_utils.metrics.evaluation import evaluate
from xrec_utils.models import sequence, training, user_item

N_ITEMS = 10


def circle(start, length):
    return ((start + np.arange(length)) % N_ITEMS).astype(np.int32)


@pytest.fixture(scope="module")
def circles():
    """Every film is followed by its neighbour: the next item can be known exactly."""
    histories = [circle(n, 6) for n in range(N_ITEMS) for _ in range(4)]
    cases = Cases(
        np.arange(40), histories, [np.array([(h[-1] + 1) % N_ITEMS]) for h in histories]
    )
    return histories, cases


def model(build=sequence.attention_recommender, **options):
    set_seed(0)
    return build(np.eye(N_ITEMS), width=16, window=6, **options)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 3))
def test_windows_hold_every_item_once_as_a_label(lengths, seed):
    histories = [np.arange(n) % N_ITEMS for n in lengths]
    windows = training.Windows(histories, WINDOWS_MODEL, batch=1, seed=seed)
    labels = np.concatenate([windows[n][1] for n in range(len(windows))])
    assert sorted(labels[labels >= 0]) == sorted(np.concatenate(histories))
    for ids, label in (windows[n] for n in range(len(windows))):
        known = label[0] >= 0
        assert ids[0][known][0] == WINDOWS_MODEL.start
        assert np.array_equal(ids[0][known][1:], label[0][known][:-1])
        assert (ids[0][~known] == WINDOWS_MODEL.padding).all()


WINDOWS_MODEL = model()


def test_every_batch_has_the_same_shape_and_epochs_differ():
    windows = training.Windows(
        [np.arange(40) % N_ITEMS] * 3 + [np.array([], dtype=int)],
        WINDOWS_MODEL,
        batch=4,
    )
    first, _ = windows.columns
    assert {windows[n][0].shape for n in range(len(windows))} == {(4, 7)}
    for _ in range(
        20
        # the offsets vary, and with them the number of windows; Keras wants as many batches
        # each time
    ):
        before, _ = windows.columns
        windows.on_epoch_end()
        after, _ = windows.columns
        assert after.shape == first.shape and not np.array_equal(before, after)


def test_loss_is_cross_entropy_over_known_places():
    random = np.random.default_rng(0)
    logits, labels = (
        random.normal(size=(2, 3, 5)).astype(np.float32),
        np.array([[-1, 2, 4], [0, -1, 1]]),
    )
    chance = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log(
        [chance[0, 1, 2], chance[0, 2, 4], chance[1, 0, 0], chance[1, 2, 1]]
    ).mean()
    got = training.next_item_loss(tf.constant(labels), tf.constant(logits)).numpy()
    assert got == pytest.approx(expected, rel=1e-5)


def test_attention_learns_the_circle(circles, monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")
    histories, cases = circles
    attention = model(blocks=1)
    log = training.fit_next_item(
        attention, histories, cases, epochs=12, rate=0.02, batch=16, patience=12
    )
    assert log[-1]["loss"] < log[0]["loss"] and [row["epoch"] for row in log] == list(
        range(1, len(log) + 1)
    )
    assert evaluate(attention, cases, k=1)["hr"].mean() > 0.9


def test_training_repeats_itself(circles, monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")
    runs = []
    for _ in range(2):
        pooled = model(sequence.pooled_mlp)
        # XLA compiles in the test above: here it would take most of the time
        training.fit_next_item(pooled, *circles, epochs=2, batch=16, compiled=False)
        runs.append(pooled.score([np.array([1, 2])]))
    assert np.allclose(*runs, atol=1e-5)


class Line:
    """One weight towards zero: its value after every epoch, before any is given back."""

    name = "line"

    def __init__(self) -> None:
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.model.compile("sgd", "mse")
        self.seen = []

    def fit(self, validation, patience):
        """Train for five epochs."""
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.seen.append(self.weight())
        )
        data = tf.data.Dataset.from_tensors((np.ones((4, 1)), np.zeros((4, 1))))
        return training.fit_network(
            self, data, validation, epochs=5, patience=patience, callbacks=[note]
        )

    def weight(self):
        return float(self.model.get_weights()[0][0, 0])


def test_training_stops_and_gives_the_best_weights_back(monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")
    values = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    monkeypatch.setattr(
        training, "evaluate", lambda model, cases: {"ndcg": np.array([next(values)])}
    )
    line = Line()
    cases = Cases(np.arange(1), [np.arange(1)], [np.arange(1)])
    log = line.fit(cases, patience=2)
    assert [row["validation_ndcg"] for row in log] == [0.1, 0.5, 0.4, 0.3]
    assert line.weight() == line.seen[1]


def test_a_final_fit_trains_every_epoch_and_keeps_the_last(monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")
    line = Line()
    log = line.fit(None, patience=1)
    assert [row["epoch"] for row in log] == [1, 2, 3, 4, 5]
    assert line.weight() == line.seen[-1]
    assert all("validation_ndcg" not in row for row in log)


@pytest.mark.parametrize(("quiet", "shown"), [("1", False), ("0", True)])
def test_progress_is_shown_by_hand_only(capsys, monkeypatch, quiet, shown):
    monkeypatch.setenv("XREC_QUIET", quiet)
    Line().fit(None, patience=1)
    assert ("sequential" in "".join(capsys.readouterr())) == shown


def test_negatives_are_strangers():
    histories = [np.array([0, 1, 2]), np.array([3]), np.array([], dtype=int)]
    pairs = training.Negatives(histories, N_ITEMS, negatives=4, batch=7)
    (users, items), labels = (
        [
            np.concatenate(x)
            for x in zip(*(pairs[n][0] for n in range(len(pairs))), strict=True)
        ],
        np.concatenate([pairs[n][1] for n in range(len(pairs))])[:, 0],
    )
    assert len(labels) == 20 and labels.sum() == 4
    for user, item, label in zip(users, items, labels, strict=True):
        assert (item in histories[user]) == bool(label)


@pytest.mark.parametrize("product_width", [0, 4])
def test_embedding_mlp_learns_who_saw_what(monkeypatch, product_width):
    monkeypatch.setenv("XREC_QUIET", "1")
    set_seed(0)
    halves = [np.arange(4) + 5 * (user % 2) for user in range(20)]
    cases = Cases(
        np.arange(20), halves, [np.array([4 + 5 * (user % 2)]) for user in range(20)]
    )
    seen = [
        np.append(h, 4 + 5 * (user % 2)) if user > 3 else h
        for user, h in enumerate(halves)
    ]
    network = user_item.embedding_mlp(20, N_ITEMS, width=4, product_width=product_width)
    recommender = user_item.UserItemRecommender("embedding_mlp", network, seen, N_ITEMS)
    user_item.fit_pairs(recommender, seen, cases, epochs=20, rate=0.04, patience=20)
    whole = recommender.score_users(np.arange(20))
    assert whole.shape == (20, N_ITEMS)
    assert np.allclose(
        recommender.score_users(np.array([3]), batch=4), whole[3:4], atol=1e-5
    )
    assert evaluate(recommender, cases, k=1)["hr"].mean() > 0.9
    by_history = recommender.score([seen[9], seen[10], np.array([], dtype=int)])
    assert (
        np.corrcoef(by_history[0], whole[9])[0, 1] > 0.95
        and np.corrcoef(by_history[1], whole[10])[0, 1] > 0.95
    )
    assert np.allclose(
        recommender.score(seen[9:10], np.array([4, 2])),
        by_history[:1, [4, 2]],
        atol=1e-5,
    )


def test_fold_in_is_kernel_ridge_regression_on_the_cosine():
    """u(h) = mean + k(h) (K + aI)^-1 (U - mean), checked with the matrices; the empty
    history is the average user.
    """
    histories = [np.array([0, 1]), np.array([1, 2, 3]), np.array([5])]
    recommender = user_item.UserItemRecommender(
        "m", user_item.embedding_mlp(3, N_ITEMS, 4, 2), histories, N_ITEMS
    )
    vectors = np.concatenate(
        [table.get_weights()[0] for table in recommender.tables], axis=1
    )
    unit = recommender.known / np.linalg.norm(recommender.known, axis=1, keepdims=True)
    weight = np.linalg.solve(
        unit @ unit.T + user_item.FOLD_IN * np.eye(3), vectors - vectors.mean(axis=0)
    )
    asked = np.zeros(N_ITEMS)
    asked[[1, 5]] = 1 / np.sqrt(2)
    got = recommender.fold_in([np.array([5, 1]), np.array([], dtype=int)])
    assert np.allclose(
        got[0], vectors.mean(axis=0) + asked @ unit.T @ weight, atol=1e-5
    )
    assert np.allclose(got[1], vectors.mean(axis=0), atol=1e-6)
    # no histories give no rows
    assert recommender.score([]).shape == (0, N_ITEMS)
    assert recommender.score([], np.array([4, 2])).shape == (0, 2)


def test_two_branch_is_the_formula():
    """p = softmax(W3 (ReLU(W1 u + b1) * ReLU(W2 i + b2)) + b3)."""
    network = user_item.two_branch_mlp(3, 2, width=4)
    u, i = (
        np.random.default_rng(0).normal(size=(5, 3)),
        np.random.default_rng(1).normal(size=(5, 2)),
    )
    w1, b1, w2, b2, w3, b3 = (
        w
        for name in ("user_branch", "film_branch", "classes")
        for w in network.get_layer(name).get_weights()
    )
    z = (np.maximum(u @ w1 + b1, 0) * np.maximum(i @ w2 + b2, 0)) @ w3 + b3
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert np.allclose(network([u, i]).numpy(), expected, atol=1e-5)


def test_feature_mlp_has_the_parameters_one_counts():
    assert (
        user_item.feature_mlp(3).count_params()
        == (3 * 64 + 64) + (64 * 32 + 32) + (32 + 1)
        == 2369
    )


def test_fit_features_stops_early_and_tells_each_epoch(monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")
    set_seed(0)
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.float32)
    network = user_item.feature_mlp(3)
    log = user_item.fit_features(
        network, (x[:300], y[:300]), (x[300:], y[300:]), epochs=15, batch=32
    )
    assert log[0]["epoch"] == 1 and {
        "loss",
        "val_loss",
        "accuracy",
        "val_accuracy",
    } <= set(log[0])
    assert log[-1]["val_accuracy"] > 0.9


def test_a_network_without_a_shape_yet_is_trained():
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    rows = np.random.default_rng(0).random((20, 3)).astype("float32")
    labels = (rows[:, :1] > 0.5).astype("float32")
    log = user_item.fit_features(model, (rows, labels), (rows, labels), epochs=2)
    assert [row["epoch"] for row in log] == [1, 2]
