"""From an author's ONNX file to asli's form of one: pixels in, logits of (real, fake) out."""

from pathlib import Path
from typing import Any

import numpy as np

from asli.detector.adopted_network import refusing
from asli.detector.author import Outputs
from asli.errors import DetectorError
from asli.transforms.preprocessing import Preprocessing

PREFIX = "author/"


def describe(path: Path) -> tuple[str, int]:
    """Return the name of a graph's input and how many outputs it has.

    Raises:
        DetectorError: It is no ONNX file, or no network of float32 images, n x 3 x side x side, to outputs, n x k.
    """
    import onnx

    with refusing(f"{path} is not a readable ONNX file"):
        graph = onnx.load(path, load_external_data=False).graph
    constants = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise DetectorError(f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs; asli takes one of each")
    tensor = inputs[0].type.tensor_type
    sides = [one.dim_value for one in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(sides) != 4 or sides[1] not in (0, 3):
        raise DetectorError(f"{path} does not take float32 images, n x 3 x height x width; export it that way")
    outputs = graph.output[0].type.tensor_type.shape.dim
    if len(outputs) != 2 or not outputs[1].dim_value:
        raise DetectorError(f"{path} does not give n x k outputs of a known k; export it that way")
    return inputs[0].name, outputs[1].dim_value


def with_pixels_and_pair(
    path: Path, out: Path, preprocessing: Preprocessing, outputs: Outputs, *, bgr: bool, probabilities: bool
) -> None:
    """Write a graph that normalizes pixels, computes the author's graph, and maps its outputs to (real, fake).

    Args:
        path: The author's.
        out: Where the new one goes: `images`, uint8, n x size x size x 3, to `logits`, float32, n x 2.
        preprocessing: Gives mean and std.
        outputs: What the author's outputs mean.
        bgr: Whether the author's graph takes blue first.
        probabilities: Whether its outputs are softmax probabilities; their logarithms are logits.
    """
    import onnx
    from onnx import TensorProto, compose, helper, numpy_helper

    model = compose.add_prefix(onnx.load(path), PREFIX)
    graph = model.graph
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    given = next(one for one in graph.input if one.name not in {c.name for c in graph.initializer}).name
    result = graph.output[0].name
    std = np.array(preprocessing.std, dtype=np.float64)
    mean = np.array(preprocessing.mean, dtype=np.float64)
    shape = (1, 3, 1, 1)
    constants: dict[str, Any] = {
        "scale": (255 * std).astype(np.float32).reshape(shape),
        "shift": (mean / std).astype(np.float32).reshape(shape),
        "order": np.array([2, 1, 0] if bgr else [0, 1, 2], dtype=np.int64),
        "axis": np.array([1], dtype=np.int64),
        "smallest": np.array(1e-30, dtype=np.float32),
    }
    before = [
        helper.make_node("Cast", ["images"], ["as_floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["as_floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["planes", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "shift"], ["normalized"]),
        helper.make_node("Gather", ["normalized", "order"], [given], axis=1),
    ]
    after = []
    if probabilities:
        after += [helper.make_node("Max", [result, "smallest"], ["kept"]), helper.make_node("Log", ["kept"], ["raw"])]
    else:
        after.append(helper.make_node("Identity", [result], ["raw"]))
    for label, which in (("real", outputs.real), ("fake", outputs.fake)):
        if not which:  # the other one is a sigmoid's logit
            after.append(helper.make_node("Sub", ["raw_other", "raw_other"], [label]))
            continue
        constants[f"which_{label}"] = np.array(which, dtype=np.int64)
        after.append(helper.make_node("Gather", ["raw", f"which_{label}"], [f"of_{label}"], axis=1))
        if len(which) == 1:
            after.append(helper.make_node("Identity", [f"of_{label}"], [label]))
        elif opset >= 18:
            after.append(helper.make_node("ReduceLogSumExp", [f"of_{label}", "axis"], [label], keepdims=1))
        else:
            after.append(helper.make_node("ReduceLogSumExp", [f"of_{label}"], [label], axes=[1], keepdims=1))
    if outputs.activation == "sigmoid":
        other = "of_fake" if outputs.fake else "of_real"
        after = sorted(after, key=lambda node: "raw_other" in node.input)
        after = [_renamed(node, {"raw_other": other}) for node in after]
    after.append(helper.make_node("Concat", ["real", "fake"], ["logits"], axis=1))
    used = {name for node in [*before, *after] for name in node.input}
    size = preprocessing.size
    whole = helper.make_graph(
        [*before, *graph.node, *after],
        "adopted",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [*graph.initializer, *(numpy_helper.from_array(v, k) for k, v in constants.items() if k in used)],
    )
    made = helper.make_model(whole, opset_imports=model.opset_import, ir_version=model.ir_version)
    made.functions.extend(model.functions)
    onnx.checker.check_model(made)
    onnx.save(made, out)


def _renamed(node: Any, names: dict[str, str]) -> Any:
    for number, name in enumerate(node.input):
        node.input[number] = names.get(name, name)
    return node
