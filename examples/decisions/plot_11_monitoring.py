"""
Has the base rate moved? Watch it before the labels come
========================================================

A model predicts which payments will be charged back, but the labels are known only
three months later. :func:`~imbalnet.posterior.estimate_prior` estimates the share of
chargebacks in each month from the probabilities alone. The picture compares the
estimates with the true shares, which are known later, and with the mean probability,
which changes too little.
"""

# %%
# Two years of payments
# ---------------------
#
# We generate payments with words, missing values and dates. In the second year there is
# more fraud: the share of chargebacks triples. Fraudulent payments look the same as
# before, and so do honest ones. This is called *label shift*. The estimate assumes it.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
months = pd.date_range("2024-01-01", periods=24, freq="MS")
true_share = np.r_[np.full(12, 0.03), np.linspace(0.03, 0.09, 6), np.full(6, 0.09)]
PER_MONTH = 2_500


def payments(month, share):
    """Return the payments of a month, with a label for each."""
    is_fraud = rng.random(PER_MONTH) < share
    country = np.where(
        is_fraud,
        rng.choice(["DE", "FR", "US", "other"], PER_MONTH, p=[0.2, 0.2, 0.25, 0.35]),
        rng.choice(["DE", "FR", "US", "other"], PER_MONTH, p=[0.45, 0.35, 0.12, 0.08]),
    )
    account_days = rng.exponential(np.where(is_fraud, 90, 500)).round()
    return pd.DataFrame(
        {
            "date": month + pd.to_timedelta(rng.integers(28, size=PER_MONTH), "D"),
            "amount": rng.lognormal(np.where(is_fraud, 4.6, 3.8), 0.9).round(2),
            "country": country,
            "items": 1 + rng.poisson(np.where(is_fraud, 0.6, 1.6)),
            "account_days": np.where(rng.random(PER_MONTH) < 0.1, np.nan, account_days),
            "chargeback": np.where(is_fraud, "yes", "no"),
        }
    )


table = pd.concat(map(payments, months, true_share), ignore_index=True)
print(table.head(4).to_string(index=False))

# %%
# Train on the first half-year
# ----------------------------
#
# Without class weights, samplers or other losses, the probabilities are those for the
# class distribution of the training rows.

from imbalnet import BalancedNeuralClassifier

columns = ["amount", "country", "items", "account_days"]
is_past = table["date"] < "2024-07-01"
classifier = BalancedNeuralClassifier(preset="quick", random_state=0)
classifier.fit(table.loc[is_past, columns], table.loc[is_past, "chargeback"])
print(f"share in training: {classifier.class_prior_[1]:.3f}")

# %%
# Each month without labels
# -------------------------
#
# We resample the rows of the month by a bootstrap, to get an interval for the estimate.

from imbalnet.posterior import estimate_prior


def estimates(probabilities, n_resamples=40):
    """Return the estimated share, and a 95 % interval."""

    def estimate(rows):
        return estimate_prior(rows, classifier.class_prior_)[1]

    resamples = rng.integers(len(probabilities), size=(n_resamples, len(probabilities)))
    of_resamples = [estimate(probabilities[rows]) for rows in resamples]
    return estimate(probabilities), *np.quantile(of_resamples, [0.025, 0.975])


def watched(month):
    """Return the figures of the payments of a month."""
    probabilities = classifier.predict_proba(month[columns])
    estimate, low, high = estimates(probabilities)
    return pd.Series(
        {
            "true": (month["chargeback"] == "yes").mean(),
            "mean": probabilities[:, 1].mean(),
            "estimate": estimate,
            "low": low,
            "high": high,
        }
    )


in_months = table[~is_past].groupby(pd.Grouper(key="date", freq="MS"))
frame = in_months[["chargeback", *columns]].apply(watched)
frame["alarm"] = frame["low"] > classifier.class_prior_[1]
print(frame.round(3).to_string())

# %%
# A month has an alarm if its whole interval lies above the share in training. With
# intervals of 95 %, about one in forty months without a change has an alarm by chance.
# From March 2025 on, every month has an alarm. The labels of March arrive in June only.
# The mean probability rises, too, but only to half of the true share, because the model
# assumes the share in training.
#
# The intervals take into account that a month is a sample, but not that the model
# itself may be wrong. So the truth is outside the interval in more than one of twenty
# months.

is_inside = frame["true"].between(frame["low"], frame["high"])
print(f"the truth is in the interval in {is_inside.sum()} of {len(frame)} months")

# %%

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
ax.fill_between(frame.index, frame["low"], frame["high"], color="#0072B2", alpha=0.2)
ax.plot(frame["estimate"], color="#0072B2", marker="o", label="estimate, with interval")
ax.plot(frame["true"], color="#000000", linestyle="--", label="truth, known later")
ax.plot(frame["mean"], color="#D55E00", marker="s", label="mean probability")
ax.axhline(
    classifier.class_prior_[1], color="0.5", linestyle=":", label="share in training"
)
ax.set(ylabel="Share of chargebacks", title="One model, eighteen months of use")
ax.set_ylim(bottom=0)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# Use the estimate
# ----------------
#
# ``target_prior`` adapts the probabilities to the estimated share, without a refit. The
# log-loss shows how much better they become in the last half-year.

from sklearn.metrics import log_loss

late = table[table["date"] >= "2025-07-01"]
prior = estimate_prior(classifier.predict_proba(late[columns]), classifier.class_prior_)
for name, target in {"as trained": None, "estimated share": prior}.items():
    probability = classifier.set_params(target_prior=target).predict_proba(
        late[columns]
    )
    print(
        f"{name:<16} mean probability {probability[:, 1].mean():.3f}, "
        f"log-loss {log_loss(late['chargeback'], probability):.4f}"
    )

# %%
# If fraudulent payments begin to look different, the estimate is wrong, and there is no
# warning. So check the estimate when the labels arrive: the dashed line should stay in
# the band.
