"""Choice of the device, and checks of what it supports."""

from __future__ import annotations

from contextlib import suppress

import torch

from imbalnet._ranks import Ranks, ranks_now


def resolve_device(
    device: str | torch.device, dtype: torch.dtype = torch.float32
) -> torch.device:
    """Convert the parameter ``device``; raise if this machine does not have it.

    "auto" does not choose Apple's GPUs if `dtype` is float64, which they do not
    support. Each process of ``torchrun`` uses the GPU of its local rank.
    """
    ranks = ranks_now()
    if ranks is not None and torch.cuda.is_available():
        device = _gpu_of_rank(device, ranks)
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


def _gpu_of_rank(device: str | torch.device, ranks: Ranks) -> str | torch.device:
    """Return the GPU of this process, or `device` if it has an index or is no GPU."""
    if str(device) not in ("auto", "cuda"):
        return device
    n_gpus = torch.cuda.device_count()
    if ranks.local_rank >= n_gpus:
        raise ValueError(
            f"device={str(device)!r} gives each process a GPU of its own, but this is "
            f"process {ranks.local_rank} (from 0) of a machine with {n_gpus}; start "
            f"{n_gpus} there, or set device='cpu'."
        )
    return f"cuda:{ranks.local_rank}"


def available_device(device: str | torch.device) -> torch.device:
    """Return the device if this machine has it, or one of its type, or the CPU."""
    kind = torch.device(device).type
    for candidate in (device, kind):
        with suppress(ValueError):
            return resolve_device(candidate)
    return torch.device("cpu")


def _computes(device: torch.device) -> bool:
    """Return whether a value can be stored on a device and read from it.

    ``torch.device`` also accepts devices that torch was built without, "meta", which
    stores no values, and any index of a CPU.
    """
    if device.type == "cpu":
        return not device.index
    try:
        return torch.ones(1, device=device).item() == 1.0
    except Exception:  # the class of the error depends on the device
        return False


def free_memory(device: torch.device) -> int | None:
    """Return the free memory of a CUDA device in bytes; None for other devices."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def check_bfloat16(device: torch.device) -> None:
    """Raise a ValueError if the device does not support bfloat16."""
    if device.type == "cuda":
        is_supported = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        is_supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        is_supported = True  # otherwise torch raises an error
    if not is_supported:
        raise ValueError(
            f"dtype='bfloat16' is not supported by this machine's device {device}; use "
            "dtype='float32'."
        )
