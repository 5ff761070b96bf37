"""Devices: which one the computation runs on, and what it can do."""

from __future__ import annotations

from contextlib import suppress

import torch

from imbalnet._ranks import ranks_now


def resolve_device(
    device: str | torch.device, dtype: torch.dtype = torch.float32
) -> torch.device:
    """Convert the parameter ``device`` to a device that this machine has, or raise.

    "auto" passes over Apple's GPUs if `dtype` is float64, which they lack. Of several
    processes that fit together, each has the GPU of its number on the machine.
    """
    if ranks_now() is not None and torch.cuda.is_available():
        device = _gpu_of_rank(device)
    has_mps = torch.backends.mps.is_available()
    if device == "auto" and torch.cuda.is_available():
        return torch.device("cuda")
    if device == "auto":
        return torch.device("mps" if has_mps and dtype != torch.float64 else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows; use 'auto', 'cpu', "
            "'cuda', 'cuda:0' or 'mps'."
        ) from error
    n_gpus = torch.cuda.device_count() if resolved.type == "cuda" else int(has_mps)
    is_missing = resolved.type in ("cuda", "mps") and (resolved.index or 0) >= n_gpus
    if is_missing or not _computes(resolved):
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; use "
            "device='auto' to take what there is, or device='cpu'."
        )
    return resolved


def _gpu_of_rank(device: str | torch.device) -> str | torch.device:
    """Return the GPU of this process where the user names none."""
    ranks, n_gpus = ranks_now(), torch.cuda.device_count()
    if ranks is None or str(device) not in ("auto", "cuda"):
        return device
    if ranks.local_rank >= n_gpus:
        raise ValueError(
            f"device={str(device)!r} gives each process a GPU of its own, but this is "
            f"process {ranks.local_rank} (from 0) of a machine with {n_gpus}; start "
            f"{n_gpus} there, or set device='cpu'."
        )
    return f"cuda:{ranks.local_rank}"


def available_device(device: str | torch.device) -> torch.device:
    """Return a device that this machine has: the one named, its like, or the CPU."""
    kind = torch.device(device).type
    for candidate in (device, kind):
        with suppress(ValueError):
            return resolve_device(candidate)
    return torch.device("cpu")


def _computes(device: torch.device) -> bool:
    """Return whether a value can be put on a device and read there.

    torch takes the names of devices that it was built without, "meta", which holds no
    values, and any number of a processor.
    """
    if device.type == "cpu":
        return not device.index
    try:
        return torch.ones(1, device=device).item() == 1.0
    except Exception:  # each kind of device fails with errors of its own
        return False


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a GPU, and None for other devices."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def check_bfloat16(device: torch.device) -> None:
    """Raise a ValueError if the device does not compute in bfloat16."""
    if device.type == "cuda":
        is_supported = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        is_supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        is_supported = True  # or torch raises
    if not is_supported:
        raise ValueError(
            f"dtype='bfloat16' is not supported by this machine's device {device}; use "
            "dtype='float32'."
        )
