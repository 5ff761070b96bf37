"""
A rare disease: trained on a study, used on everybody
=====================================================

In a case-control study, four of ten people are ill. In a screening, one of a hundred
people is ill. A model that was trained on the study gives far too high probabilities in
the screening. ``target_prior`` adapts the probabilities to the prevalence in use,
without a refit and without changing the ranking. In the picture, calibrated
probabilities lie on the grey diagonal.
"""

# %%
# A study and a screening
# -----------------------
#
# We generate people with a few findings, some of which are missing. Ill people have the
# same distribution of findings in the study and in the screening, and so have healthy
# people. Only the share of ill people differs. This is called *label shift*. The
# correction by ``target_prior`` assumes it.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)


def people(n_healthy, n_ill):
    """Return findings, and whether each person is ill."""
    ill = np.repeat([False, True], [n_healthy, n_ill])
    n = len(ill)
    smoking = np.where(
        rng.random(n) < np.where(ill, 0.45, 0.2),
        "current",
        rng.choice(["former", "never"], n),
    )
    inflammation = rng.lognormal(np.where(ill, 1.2, 0.4), 0.7).round(1)
    X = pd.DataFrame(
        {
            "age": rng.normal(np.where(ill, 62, 50), 11).clip(20, 95).round(),
            "smoking": pd.Series(smoking).mask(rng.random(n) < 0.05),
            "inflammation": np.where(rng.random(n) < 0.1, np.nan, inflammation),
            "marker": rng.gamma(np.where(ill, 5, 2.5), 1.0).round(2),
            "bmi": rng.normal(np.where(ill, 27, 26), 4).round(1),
        }
    )
    return X, np.where(ill, "ill", "healthy")


X_train, y_train = people(3_000, 2_000)
places = {
    "Study": people(12_000, 8_000),
    "Screening": people(59_400, 600),
}
print(X_train.sample(4, random_state=0).to_string(index=False))
for name, (_, y) in places.items():
    print(f"{name}: prevalence {np.mean(y == 'ill'):.3f}")

# %%
# One model, three prevalences
# ----------------------------
#
# Balanced class weights make the network learn as if half of the people were ill
# (``effective_prior_``). ``target_prior`` sets another prevalence when the network
# predicts: that of the study (``"train"``), or that of the screening.

from imbalnet import BalancedNeuralClassifier

classifier = BalancedNeuralClassifier(
    preset="quick", class_weight="balanced", random_state=0
).fit(X_train, y_train)
print("prior of the study:", classifier.class_prior_)
print("effective prior:   ", classifier.effective_prior_)

target_priors = {
    "None: as trained, 50 %": None,
    '"train": 40 %': "train",
    '{"healthy": 0.99, "ill": 0.01}': {"healthy": 0.99, "ill": 0.01},
}
probabilities = {
    (place, name): classifier.set_params(target_prior=prior).predict_proba(X)[:, 1]
    for place, (X, _) in places.items()
    for name, prior in target_priors.items()
}

# %%
# If probabilities are calibrated, their mean is the prevalence, and the log-loss is
# low. Average precision (AP) depends on the ranking, which stays the same.

from sklearn.metrics import average_precision_score, log_loss

print(f"{'':<42}mean    log-loss   AP")
for (place, name), probability in probabilities.items():
    ill = places[place][1] == "ill"
    print(
        f"{place:<10} {name:<31}{probability.mean():.3f}"
        f"{log_loss(ill, probability):>9.3f}"
        f"{average_precision_score(ill, probability):>9.3f}"
    )

# %%
# Reliability
# -----------
#
# We group people by their probability. In each group, the share of ill people should
# equal the mean probability. The axes show log odds, so that small probabilities are
# well separated. A change of ``target_prior`` shifts the log odds of all people by the
# same number, so the lines are parallel.


def reliability(ill, probability):
    """Return mean probability and share of ill people, in equal bins of log odds."""
    edges = 1 / (1 + np.exp(-np.arange(-8.5, 6.5, 1.0)))
    group = np.digitize(probability, edges)
    n_people = np.bincount(group, minlength=len(edges) + 1)
    expected = np.bincount(group, probability, len(edges) + 1)
    found = np.bincount(group, ill, len(edges) + 1)
    # shares of few people of either kind are too noisy to show
    shown = (found >= 5) & (n_people - found >= 5)
    return expected[shown] / n_people[shown], found[shown] / n_people[shown]


import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

styles = [
    {"color": "#D55E00", "marker": "s", "linestyle": ":"},
    {"color": "#000000", "marker": "^", "linestyle": "--"},
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
]
limits = (0.0004, 0.9996)
ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]

figure, panels = plt.subplots(1, 2, figsize=(9.0, 5.2), layout="constrained")
for axes, (place, (_, y)) in zip(panels, places.items(), strict=True):
    axes.plot(limits, limits, color="0.7", linewidth=4, zorder=0)
    for name, style in zip(target_priors, styles, strict=True):
        points = reliability(y == "ill", probabilities[place, name])
        axes.plot(*points, label=name, markersize=5, **style)
    axes.set(
        title=f"{place}: {np.mean(y == 'ill'):.0%} ill",
        xlabel="Mean predicted probability",
        xscale="logit",
        yscale="logit",
        xlim=limits,
        ylim=limits,
        aspect="equal",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("Share of ill people")
handles, labels = panels[0].get_legend_handles_labels()
figure.legend(
    handles, labels, title="target_prior", ncols=3, loc="outside lower center"
)
plt.show()

# %%
# In the study, the black line (``"train"``) lies on the diagonal. In the screening, the
# blue line lies on it.
#
# Whom to examine
# ---------------
#
# Suppose that missing an ill person costs as much as 30 needless examinations. With
# ``cost_matrix``, ``predict`` chooses the lowest expected cost. The expected cost
# depends on the probabilities under ``target_prior``. So the prevalence has an effect
# on who is examined.

X, y = places["Screening"]
costs = {("ill", "healthy"): 30, ("healthy", "ill"): 1}
examined = {"nobody": np.zeros(len(y), bool)}
for name in ('"train": 40 %', '{"healthy": 0.99, "ill": 0.01}'):
    classifier.set_params(target_prior=target_priors[name], cost_matrix=costs)
    examined[name] = classifier.predict(X) == "ill"

for name, called in examined.items():
    cost = np.mean(np.where(y == "ill", 30 * ~called, called))
    print(f"{name:<31} examined {called.mean():5.1%}, cost a person {cost:.2f}")

# %%
# If the prevalence is unknown, :func:`~imbalnet.posterior.estimate_prior` estimates it
# from people without a diagnosis; see
# :ref:`sphx_glr_gallery_decisions_plot_11_monitoring.py`.
