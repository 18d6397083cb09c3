"""What is known of the items themselves, as columns of numbers."""

import re

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.preprocessing import normalize

FIRST_YEAR = 1930  # the first release period also holds everything before it
YEARS = 5  # in one release period
PERIODS = 18


def item_features(
    items: pd.DataFrame, year: float = 1.0, title: float = 1.0
) -> sparse.csr_matrix:
    """Describe films by TF-IDF rows of their genres, years and title words.

    A film has its own year and the two around it, so that neighbouring years are alike.

    Args:
        items: a row per film, with columns title, year and genres ("Drama|War").
        year: weight of the years next to the genres, which weigh 1.
        title: weight of the title's words.

    Returns:
        float32 (n_items, n_words), each row of length one, or all zeros for a film
        without any word. Fields that no film has, or of weight 0, are left out.

    Raises:
        KeyError: a column is missing.
        ValueError: no film has any such word.

    Example:
        >>> films = {"title": ["Heat", "Ran"], "year": [1995, 1985], "genres": "War"}
        >>> features = item_features(pd.DataFrame(films), year=0, title=0)
        >>> (features @ features.T).toarray().tolist()  # the same genre: cosine 1
        [[1.0, 1.0], [1.0, 1.0]]
    """
    genres = [list(filter(None, text.split("|"))) for text in items["genres"]]
    years = [
        [] if pd.isna(made) else [str(made + shift) for shift in (-1, 0, 1)]
        for made in items["year"]
    ]
    words = [
        sorted(set(re.findall(r"\w{2,}", text.lower())) - ENGLISH_STOP_WORDS)
        for text in items["title"]
    ]
    # the words are cut already: the analyzer only lists them
    vectorizer = TfidfVectorizer(analyzer=list, dtype=np.float32)
    blocks = [
        weight * vectorizer.fit_transform(field)
        for weight, field in ((1.0, genres), (year, years), (title, words))
        if weight and any(field)
    ]
    if not blocks:
        raise ValueError(
            "items: no genres, no year and no title of two letters or more, so nothing "
            "to compare them by; use a model without content, such as ease or item_knn"
        )
    return normalize(sparse.hstack(blocks))


def item_attributes(items: pd.DataFrame) -> np.ndarray:
    """Encode films by their genres and by their release period.

    Args:
        items: a row per film, with columns genres ("Drama|War") and year; the median
            year stands in for a missing one, and where no film has one, no period has
            a film.

    Returns:
        Ones and zeros, float32 (n_items, number of genres + 18): a column per genre,
        in alphabetical order, and one per five years from 1930 on. Films before 1935
        share the first, films from 2015 on the last period.

    Raises:
        KeyError: a column is missing.

    Example:
        >>> items = pd.DataFrame({"genres": ["Drama|War", "War"], "year": [1931, 1938]})
        >>> encoded = item_attributes(items)
        >>> encoded[:, :2].tolist()  # Drama, War
        [[1.0, 1.0], [0.0, 1.0]]
        >>> encoded[:, 2:].argmax(axis=1).tolist()  # 1930-1934, 1935-1939
        [0, 1]
    """
    genres = items["genres"].str.get_dummies("|").to_numpy(dtype=np.float32)
    years = items["year"].astype(float)
    period = (years.fillna(years.median()).to_numpy() - FIRST_YEAR) // YEARS
    # NaN, of a median of no years, equals no period
    made = np.clip(period, 0, PERIODS - 1)[:, None] == np.arange(PERIODS)
    return np.concatenate([genres, made], axis=1, dtype=np.float32)


def review_attributes(
    items: pd.DataFrame, reviews: pd.DataFrame, until: int
) -> np.ndarray:
    """Encode items by the words of their reviews, as TF-IDF.

    Args:
        items: a row per item code, with column item.
        reviews: columns item, time (seconds since 1970), text.
        until: only reviews written before this second are read, so that neither
            vocabulary nor weights know the future.

    Returns:
        float32 (n_items, n_words), in the order of `items`, words in alphabetical
        order; each row has length one, or is all zeros for an item without review.

    Raises:
        ValueError: no review before `until` has a word that is no stop word.

    Example:
        >>> items = pd.DataFrame({"item": [10, 20]})
        >>> reviews = pd.DataFrame(
        ...     {"item": [10, 20], "time": [1, 9], "text": ["cup", "lamp"]}
        ... )
        >>> review_attributes(items, reviews, until=5).tolist()  # one word: cup
        [[1.0], [0.0]]
    """
    early = reviews[reviews["time"] < until].groupby("item")["text"].agg(" ".join)
    words = TfidfVectorizer(stop_words="english").fit_transform(
        early.reindex(items["item"], fill_value=""),
    )
    return words.toarray().astype(np.float32)
