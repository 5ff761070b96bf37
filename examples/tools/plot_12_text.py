"""
Rare topics in text: can the network take a sparse matrix?
==========================================================

Yes: a scikit-learn vectorizer turns texts into a sparse matrix, and the network takes
this matrix as a linear model does. The task is to find the few complaints that report a
danger. Each word of such a complaint also occurs in harmless complaints. Only the
combination of words is dangerous. The picture compares the network with a linear model,
which adds up single words.
"""

# %%
# Complaints
# ----------
#
# We generate complaints to a shop. It is dangerous if a device with a battery gets hot,
# but a kettle is supposed to get hot. A loose cable is dangerous on a kettle, which
# runs on mains voltage, but not on a scooter, whose cable only connects to a charger.

import numpy as np

DEVICES = {
    "battery": ["drill", "scooter", "vacuum", "lamp", "speaker", "toothbrush"],
    "mains": ["kettle", "toaster", "oven", "iron", "dryer", "radiator"],
    "cloth": ["curtain", "blanket", "pillow", "towel", "carpet", "jacket"],
}
TROUBLE = {
    "heat": ["gets hot", "smells burnt", "smokes", "became very warm", "left marks"],
    "cable": ["has a loose cable", "has a bare wire", "has a bent plug"],
    "late": ["came late", "never arrived", "went to my neighbour", "is delayed"],
    "broken": ["has a scratch", "is broken", "stopped working", "makes noise", "leaks"],
    "money": ["costs too much", "was charged twice", "is cheaper elsewhere"],
}
DANGERS = {("battery", "heat"), ("mains", "cable")}
ASIDES = [
    "please call me",
    "i want my money back",
    "second time this year",
    "bought in may",
    "i am disappointed",
    "my husband ordered it",
    "for the children",
    "otherwise fine",
    "while charging",
    "in the kitchen",
    "over night",
    "on the first day",
    "thanks for your help",
]


def complaints(n_texts, seed):
    """Return texts, and whether each tells of danger."""
    rng = np.random.default_rng(seed)
    texts, is_danger = [], []
    for _ in range(n_texts):
        kind = rng.choice(list(DEVICES))
        trouble = rng.choice(list(TROUBLE), p=[0.06, 0.06, 0.38, 0.32, 0.18])
        sentences = [
            f"this is about my {rng.choice(DEVICES[kind])}",
            f"it {rng.choice(TROUBLE[trouble])}",
            *rng.choice(ASIDES, rng.integers(1, 6), replace=False),
        ]
        texts.append(". ".join(rng.permutation(sentences)))
        is_danger.append((kind, trouble) in DANGERS)
    # one label in two hundred is a slip of the hand
    return texts, np.array(is_danger) ^ (rng.random(n_texts) < 0.005)


texts, y = complaints(5_000, seed=0)
test_texts, y_test = complaints(5_000, seed=1)
print(f"{len(y):,} complaints, {y.mean():.1%} of them dangerous. For example:")
print("-", texts[np.flatnonzero(y)[0]])
print("-", texts[np.flatnonzero(~y)[0]])

# %%
# Two pipelines
# -------------
#
# Single words and pairs of adjacent words become columns. The whole matrix stays
# sparse; only one batch at a time is converted to a dense array. A plain network
# (``module="mlp"``) keeps this example short.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from imbalnet import BalancedNeuralClassifier


def pipeline(classifier):
    """Return a pipeline from texts to classes."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=3, dtype=np.float32)
    return make_pipeline(vectorizer, classifier)


models = {
    "Network": pipeline(
        BalancedNeuralClassifier(
            "mlp", learning_rate=0.003, max_epochs=20, random_state=0
        )
    ),
    "Logistic regression": pipeline(
        LogisticRegression(C=10, class_weight="balanced", max_iter=1_000)
    ),
}
for model in models.values():
    model.fit(texts, y)
matrix = models["Network"][:-1].transform(texts)
n_rows, n_columns = matrix.shape
print(f"{n_columns} columns, of which a text has {matrix.nnz / n_rows:.0f} in the mean")

# %%
# Precision and recall
# --------------------

import matplotlib.pyplot as plt

from imbalnet.plots import PrecisionRecallDisplay

figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
styles = {"Network": ("#0072B2", "-"), "Logistic regression": ("#D55E00", "--")}
for name, model in models.items():
    color, line = styles[name]
    PrecisionRecallDisplay.from_estimator(
        model, test_texts, y_test, name=name, ax=ax, color=color, linestyle=line
    )
ax.set_title("Dangerous complaints")
plt.show()

# %%
# Four complaints
# ---------------
#
# The linear model adds up the evidence of the words. So smoke and a loose cable raise
# its probability for every device. The network has learned for which devices they are
# dangerous. (Balanced weights also raise the probabilities of the linear model.)

examples = [
    "this is about my scooter. it smokes. bought in may",
    "this is about my kettle. it smokes. bought in may",
    "this is about my kettle. it has a loose cable. bought in may",
    "this is about my scooter. it has a loose cable. bought in may",
]
for text in examples:
    print(f"\n{text}")
    for name, model in models.items():
        print(f"  {name:<20}{model.predict_proba([text])[0, 1]:.2f}")
