"""What the machine can do at most: matrix products, and decoding without anything else; rows of `bench.py`."""

import importlib.util
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1024, 2048, 3072)


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return GFLOP/s (2 operations a multiply-add), or images a second."""
    if side.startswith("GEMM"):
        made = float_product if side.endswith("float32") else integer_product
        rates = {size: best(made(size), case["seconds"]) for size in SIZES}
        return {"value": max(2 * size**3 * rate / 1e9 for size, rate in rates.items())}
    folder = work / ("thumbnails-2000" if "thumbnails" in side else "photographs-300")
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    pixels = sum(width * height for width, height in map(size_of, files)) / len(files)
    result = {
        "value": decoding(files, pillow),
        "megapixels": pixels / 1e6,
        "kilobytes": np.mean([*map(len, files)]) / 1e3,
    }
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg

        result["simplejpeg"] = decoding(files, simplejpeg.decode_jpeg)
    return result


def best(run: Callable[[], object], seconds: float) -> float:
    """Return runs a second of the quickest run."""
    run()
    until, shortest = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < until:
        start = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - start)
    return 1 / shortest


def float_product(size: int) -> Callable[[], object]:
    """Return torch's product of two square matrices."""
    import torch

    a, b, out = (torch.rand(size, size) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def integer_product(size: int) -> Callable[[], object]:
    """Return ONNX Runtime's product of two square matrices of 8 bits, as int8 detectors compute."""
    import onnxruntime
    from onnx import TensorProto, helper

    weights = np.random.default_rng(0).integers(-64, 64, (size, size)).astype(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [size, size])],
        [helper.make_tensor("b", TensorProto.INT8, [size, size], weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.random.default_rng(1).integers(0, 128, (size, size)).astype(np.uint8)
    return lambda: session.run(None, {"a": values})


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height."""
    from PIL import Image

    return Image.open(io.BytesIO(data)).size


def pillow(data: bytes) -> None:
    """Decode to RGB."""
    from PIL import Image

    Image.open(io.BytesIO(data)).convert("RGB")


def decoding(files: list[bytes], decode: Callable[[bytes], object]) -> float:
    """Return images a second of a thread for each CPU, in shares as `asli scan` makes them."""
    from asli.threads import usable_cpus

    shares = [files[start : start + 32] for start in range(0, len(files), 32)]
    with ThreadPoolExecutor(usable_cpus()) as pool:
        list(pool.map(decode, files[:64]))
        start = time.perf_counter()
        list(pool.map(lambda share: [decode(data) for data in share] and None, shares))
        return len(files) / (time.perf_counter() - start)
