"""Another way to be right, for every answer of ps5-case-study; for the case, the other case."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd


def repair(table, longest=3):
    volumes = {}
    for hour, volume in zip(table["hour"], table["volume"], strict=True):
        if math.isnan(volume):
            volumes.setdefault(hour, volume)
        elif math.isnan(volumes.get(hour, volume)) or volumes.get(hour, volume) == volume:
            volumes[hour] = volume
        else:
            raise ValueError(f"{hour} has two volumes")
    rows, waiting, hour = [], [], min(volumes)
    while hour <= max(volumes):
        volume = volumes.get(hour, math.nan)
        if math.isnan(volume):
            waiting.append(hour)
        else:
            if waiting and (not rows or len(waiting) > longest):
                raise ValueError(f"{len(waiting)} hours without a volume before {hour}")
            last = rows[-1][1] if rows else volume
            for place, missing in enumerate(waiting, 1):
                rows.append((missing, last + (volume - last) * place / (len(waiting) + 1), True))
            rows.append((hour, float(volume), False))
            waiting = []
        hour += pd.Timedelta(hours=1)
    if waiting:
        raise ValueError("the last hour has no volume")
    return pd.DataFrame(rows, columns=["hour", "volume", "filled"])


def windows(volume, length, horizon=1):
    pairs = []
    for last in range(length - 1, len(volume) - horizon):
        pair = [*volume[last - length + 1 : last + 1], volume[last + horizon]]
        if not any(math.isnan(one) for one in pair):
            pairs.append(pair)
    both = np.array(pairs).reshape(-1, length + 1)
    return [both[:, :-1], both[:, -1]]


def one_hot(train, new):
    columns = pd.get_dummies(pd.Series(train)).columns
    return pd.DataFrame({column: [word == column for word in new] for column in columns}, dtype=int).to_numpy()


def skill(y, forecast, naive):
    hours = [hour for hour in zip(y, forecast, naive, strict=True) if not any(math.isnan(one) for one in hour)]
    theirs = sum(abs(came - theirs) for came, _, theirs in hours)
    if theirs == 0:
        raise ValueError("nothing to compare with")
    return np.float64((theirs - sum(abs(came - ours) for came, ours, _ in hours)) / theirs)


def cheapest_threshold(bad, probabilities, refused_good=1, granted_bad=5):
    def cost(threshold):
        pairs = zip(bad, probabilities, strict=True)
        prices = [granted_bad * bool(b) if p < threshold else refused_good * (not b) for b, p in pairs]
        return Fraction(sum(prices), len(prices))

    threshold = min([math.inf, *probabilities], key=lambda one: (cost(one), -one))
    return [threshold, float(cost(threshold))]


def half_width(errors, level):
    size = sorted(abs(float(error)) for error in errors)
    k = math.ceil(Fraction(str(level)) * (len(size) + 1))
    return [*size, *[math.inf] * 99][k - 1]


def looks_ahead(forecast, volume):
    rng = np.random.default_rng(0)
    before = np.asarray(forecast(volume + 0.0))
    for t in range(len(volume)):
        for _ in range(4):
            later = np.where(np.arange(len(volume)) < t, volume, rng.uniform(-5000, 5000, len(volume)))
            after = np.asarray(forecast(later))
            if not np.allclose(before[: t + 1], after[: t + 1], rtol=0, atol=1e-9, equal_nan=True):
                return np.bool_(True)
    return np.bool_(False)


def predict(train, new):
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        (StandardScaler(), make_column_selector(dtype_include="number")),
    )
    model = make_pipeline(prepare, LogisticRegression(C=0.3, max_iter=2000))
    model.fit(train.drop(columns="risk"), train["risk"] == "bad")
    return list(model.predict_proba(new)[:, 1])


CASE = "credit"
