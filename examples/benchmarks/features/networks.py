"""imbalnet, and what else trains networks: the ways of `library.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from library import COSTS, SEED, Library, floats, plain_network, printed, way
from sklearn.model_selection import train_test_split


class Imbalnet(Library):
    title, package, module = "imbalnet", "imbalnet", "imbalnet"
    grid = ("max_epochs", [5, 10])

    def model(self, **params: Any) -> Any:
        from imbalnet import BalancedNeuralClassifier

        return BalancedNeuralClassifier(
            **{"preset": "quick", "max_epochs": 10, "random_state": SEED} | params
        )

    @way('class_weight="balanced"')
    def class_weight(self) -> Any:
        return super().class_weight()

    @way('loss="focal"')
    def focal(self) -> Any:
        return super().focal()

    @way("sampler=RandomOverSampler()")
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        from imblearn.over_sampling import RandomOverSampler

        given, drawn = [], []

        class Recorded(RandomOverSampler):
            def fit_resample(self, X: Any, y: Any, **params: Any) -> Any:
                found = super().fit_resample(X, y, **params)
                given.append(np.asarray(X))
                drawn.append(found[1])
                return found

        self.model(module="mlp", preset=None, early_stopping=True).set_params(
            sampler=Recorded(random_state=SEED)
        ).fit(X, y)
        seen = set(given[0][:, 0].astype(np.float32).tolist())
        is_held_out = [value not in seen for value in X[:, 0].astype(np.float32)]
        return drawn[0], y[is_held_out]

    @way("of itself, by folds or a split")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        model = self.model().fit(X, y)
        return y[model.folds_ == 0]

    @way('target_prior="train"')
    def base_rate(self) -> Any:
        return self.class_weight().set_params(target_prior="train")

    @way("target_prior, read at prediction time")
    def other_rate(self, model: Any, prior: list[float]) -> Any:
        return super().other_rate(model, prior)

    @way("oof_proba_")
    def out_of_fold(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return super().out_of_fold(X, y)

    @way('threshold="f1", without a refit')
    def threshold_f1(self) -> Any:
        return self.model(threshold="f1")

    @way("PrecisionAtLeast, AlertShare, LeastCost, without a refit")
    def threshold_limits(self, limit: str) -> Any:
        from imbalnet import decisions

        criterion = {
            "precision": decisions.PrecisionAtLeast(0.5),
            "alerts": decisions.AlertShare(0.05),
            "costs": decisions.LeastCost(
                false_positive=COSTS[0, 1], false_negative=COSTS[1, 0]
            ),
        }
        return self.model(threshold=criterion[limit])

    @way("predict(X, cost_matrix=...)")
    def row_costs(self, model: Any, X: np.ndarray, costs: dict) -> Any:
        return super().row_costs(model, X, costs)

    @way("partial_fit, warm_start=True")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        model = self.model(n_members=1).partial_fit(X, y, classes=[0, 1])
        return model.partial_fit(X, y)

    @way("to_onnx")
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        model = self.model().fit(X, y)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.to_onnx(path)
            return model, path.read_bytes()

    @way("LargeTable")
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        from imbalnet.large_tables import LargeTable

        return self.model().fit(LargeTable(folder / "rows.parquet"), "y")

    @way("torchrun")
    def processes(self, folder: Path) -> str:
        code = """
import numpy as np, torch.distributed as dist
from imbalnet import BalancedNeuralClassifier
dist.init_process_group("gloo")
rows = np.load("rows.npz")
model = BalancedNeuralClassifier(preset="quick", max_epochs=2, random_state=0)
model.fit(rows["X"], rows["y"])
print("processes", dist.get_world_size(), model.predict_proba(rows["X"]).shape)
dist.destroy_process_group()
"""
        (folder / "ranks.py").write_text(code)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return printed([*command, "ranks.py"], folder)

    @way("module=")
    def own_network(self, module: type) -> Any:
        return self.model(module=module, preset=None, learning_rate=0.01)

    def defaults(self) -> Any:
        return self.model(preset=None, max_epochs="auto", n_threads=1)


class Skorch(Library):
    title, package, module = "skorch", "skorch", "skorch"
    grid = ("lr", [0.05, 0.1])

    def model(self, module: type | None = None, **params: Any) -> Any:
        import torch
        from skorch import NeuralNetClassifier

        torch.manual_seed(SEED)
        fixed = {"max_epochs": 10, "lr": 0.1, "verbose": 0, "batch_size": 64}
        if module is None:
            module, fixed["module__n_columns"] = plain_network(), 2
            fixed["criterion"] = torch.nn.CrossEntropyLoss
        return NeuralNetClassifier(module, **fixed | params)

    @way("criterion__weight, computed by you", partly=True)
    def class_weight(self) -> Any:
        import torch

        return self.model(criterion__weight=torch.tensor([0.526, 10.0]))

    @way("a loss module of your own", partly=True)
    def focal(self) -> Any:
        import torch

        class Focal(torch.nn.CrossEntropyLoss):
            def forward(self, logits: Any, target: Any) -> Any:
                losses = torch.nn.functional.cross_entropy(
                    logits, target, reduction="none"
                )
                return ((1 - torch.exp(-losses)) ** 2 * losses).mean()

        return self.model(criterion=Focal)

    @way("a torch sampler, with a validation split of your own", partly=True)
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        import torch
        from skorch.dataset import Dataset
        from skorch.helper import predefined_split

        X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=SEED)
        weight = torch.as_tensor(np.where(y == 1, 19.0, 1.0))
        sampler = torch.utils.data.WeightedRandomSampler(weight, len(y))
        drawn = y[list(sampler)]
        self.model(
            train_split=predefined_split(Dataset(floats(X_valid), y_valid)),
            iterator_train__sampler=sampler,
        ).fit(floats(X), y)
        return drawn, y_valid

    @way("ValidSplit and the callback EarlyStopping")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        from skorch.callbacks import Callback, EarlyStopping

        labels = []

        class Recorded(Callback):
            def on_train_begin(self, net: Any, X: Any, y: Any, **parts: Any) -> None:
                _, valid = net.get_split_datasets(X, y)
                labels.extend(int(valid[i][1]) for i in range(len(valid)))

        self.model(callbacks=[Recorded(), EarlyStopping()]).fit(floats(X), y)
        return np.array(labels)

    @way("partial_fit, warm_start")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return super().goes_on(model, floats(X), y)

    @way("torch.onnx of the module; the softmax is yours", partly=True)
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        import torch

        model = self.model().fit(floats(X), y)
        network = torch.nn.Sequential(model.module_, torch.nn.Softmax(dim=1)).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.onnx")
            program = torch.onnx.export(
                network,
                (torch.zeros(2, X.shape[1]),),
                dynamic_shapes=({0: torch.export.Dim("rows")},),
                dynamo=True,
                verbose=False,
            )
            program.save(path)
            return model, Path(path).read_bytes()

    @way("a torch Dataset of your own", partly=True)
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        import torch

        np.save(folder / "X.npy", floats(X))

        class OnDisk(torch.utils.data.Dataset):
            rows = np.load(folder / "X.npy", mmap_mode="r")

            def __len__(self) -> int:
                return len(self.rows)

            def __getitem__(self, i: int) -> tuple:
                return self.rows[i].copy(), int(y[i])

        return self.model(train_split=None, classes=[0, 1]).fit(OnDisk(), None)

    @way("AccelerateMixin, with the package accelerate", partly=True)
    def processes(self, folder: Path) -> str:
        code = """
import accelerate, numpy as np, torch
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin
class Net(AccelerateMixin, NeuralNetClassifier):
    pass
rows = np.load("rows.npz")
accelerator = accelerate.Accelerator(cpu=True)
net = Net(
    torch.nn.Linear, module__in_features=2, module__out_features=2,
    criterion=torch.nn.CrossEntropyLoss, accelerator=accelerator, max_epochs=2,
    verbose=0,
)
net.fit(rows["X"].astype(np.float32), rows["y"].astype(np.int64))
print("processes", accelerator.num_processes)
"""
        (folder / "ranks.py").write_text(code)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return printed([*command, "ranks.py"], folder)

    @way("any module; it is what skorch is for")
    def own_network(self, module: type) -> Any:
        import torch

        return self.model(module=module, criterion=torch.nn.CrossEntropyLoss)

    @way("NeuralNetRegressor")
    def regressor(self) -> Any:
        import torch
        from skorch import NeuralNetRegressor

        class OfColumn(NeuralNetRegressor):
            def fit(self, X: Any, y: Any, **params: Any) -> Any:
                return super().fit(X, floats(y)[:, None], **params)

        torch.manual_seed(SEED)
        fixed = {"max_epochs": 30, "lr": 0.05, "verbose": 0}
        network = {"module__n_columns": 2, "module__n_outputs": 1}
        return OfColumn(plain_network(), **fixed, **network)

    def defaults(self) -> Any:
        return self.model(module__n_columns=20)


class Pytabkit(Library):
    title, package, module = "pytabkit", "pytabkit", "pytabkit"
    grid = ("n_epochs", [4, 8])

    def model(self, **params: Any) -> Any:
        from pytabkit import RealMLP_TD_Classifier

        fixed = {"n_epochs": 10, "device": "cpu", "n_threads": 1, "random_state": SEED}
        return RealMLP_TD_Classifier(**fixed | params)

    @way("folds (n_cv) are stratified, a single split is not", partly=True)
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        from pytabkit.models.data import splits

        found = []
        split = splits.KFoldSplitter.get_idxs

        def recorded(splitter: Any, table: Any) -> Any:
            found.extend(pairs := split(splitter, table))
            return pairs

        splits.KFoldSplitter.get_idxs = recorded
        try:
            self.model(n_cv=4).fit(X, y)
        finally:
            splits.KFoldSplitter.get_idxs = split
        return y[found[0][1].numpy()]

    def checked(self) -> Any:
        return self.model(n_epochs=1)

    @way("RealMLP_TD_Regressor and others")
    def regressor(self) -> Any:
        from pytabkit import RealMLP_TD_Regressor

        fixed = {"device": "cpu", "n_threads": 1, "random_state": SEED}
        return RealMLP_TD_Regressor(n_epochs=20, **fixed)

    def defaults(self) -> Any:
        return self.model(n_epochs=None)
