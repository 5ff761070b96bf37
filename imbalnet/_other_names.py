"""What other libraries call the estimator's parameters, for errors that name ours."""

from __future__ import annotations

# From scikit-learn's MLPClassifier and LogisticRegression.
_SKLEARN = {
    "hidden_layer_sizes": "module__hidden_sizes",
    "solver": "optimizer",
    "penalty": "weight_decay",
    "alpha": "weight_decay or loss__alpha",
    "c": "weight_decay",
    "learning_rate_init": "learning_rate",
    "max_iter": "max_epochs",
    "max_fun": "max_epochs",
    "tol": "patience",
    "n_iter_no_change": "patience",
    "nesterovs_momentum": "optimizer__nesterov",
    "beta_1": "optimizer__betas",
    "beta_2": "optimizer__betas",
    "n_jobs": "n_threads",
}

# From skorch's NeuralNetClassifier; also used for the prefixes of nested names.
_SKORCH = {
    "criterion": "loss",
    "lr": "learning_rate",
    "train_split": "cv",
    "iterator_train": "net__iterator_train",
    "iterator_valid": "net__iterator_valid",
    "torch_load_kwargs": "net__torch_load_kwargs",
    "use_caching": "net__use_caching",
}

# From CatBoost, LightGBM and XGBoost.
_BOOSTING = {
    "iterations": "max_epochs",
    "num_iterations": "max_epochs",
    "num_boost_round": "max_epochs",
    "num_trees": "max_epochs",
    "n_estimators": "max_epochs or n_members",
    "eta": "learning_rate",
    "objective": "loss",
    "loss_function": "loss",
    "metric": "monitor",
    "eval_metric": "monitor",
    "auto_class_weights": "class_weight='balanced'",
    "is_unbalance": "class_weight='balanced'",
    "scale_pos_weight": "class_weight",
    "cat_features": "categorical_features",
    "categorical_feature": "categorical_features",
    "early_stopping_round": "patience",
    "early_stopping_rounds": "patience",
    "od_wait": "patience",
    "lambda_l2": "weight_decay",
    "l2_leaf_reg": "weight_decay",
    "reg_lambda": "weight_decay",
    "num_threads": "n_threads",
    "thread_count": "n_threads",
    "nthread": "n_threads",
    "random_seed": "random_state",
    "seed": "random_state",
    "task_type": "device",
    "device_type": "device",
    "silent": "verbose",
    "verbosity": "verbose",
}

# From training loops in torch and Keras.
_TORCH = {
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "hidden_dim": "module__hidden_sizes",
    "hidden_dims": "module__hidden_sizes",
    "hidden_size": "module__hidden_sizes",
    "model": "module",
    "network": "module",
    "pos_weight": "class_weight or loss__pos_weight",
    "weight": "class_weight",
    "weights": "class_weight",
    "scheduler": "schedule",
    "validation_split": "validation_fraction",
    "precision": "dtype",
}

# From functions about costs and decisions.
_DECISIONS = {
    "cost": "cost_matrix",
    "costs": "cost_matrix",
    "cost_sensitive": "cost_matrix",
    "pos_label": "fit(X, y == pos_label)",
    "positive_class": "fit(X, y == positive_class)",
}

OTHER_NAMES: dict[str, str] = {
    **_SKLEARN,
    **_SKORCH,
    **_BOOSTING,
    **_TORCH,
    **_DECISIONS,
}
