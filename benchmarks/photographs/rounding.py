"""Round the first blocks of CLIP ViT-B/16 to about 3 bits a weight: the trunk `clip-b16-early` of the detector `photo`.

GPTQ (Frantar et al. 2023): the weights of a layer are rounded column by column, and each column's error is made up for
by the columns that are left, as the layer's inputs on pictures weigh it. Changes to the published method: one step for
a whole matrix, chosen by the entropy of its codes; tokens weigh by the inverse of their length, for a few of CLIP's are
huge; the mean error of a layer's output goes into its bias.

Windows are the middle ones of development pictures in view A; none of the final set is read. The shipped trunk was made
with windows of an older cut of the same pictures, so another run differs a little from it.

    python benchmarks/photographs/rounding.py development.csv --pictures PICTURES --trunk clip-b16.safetensors \
        --out clip-b16-early.safetensors
"""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
import pillow_heif
import torch
from features import viewed
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from scipy.linalg import cholesky

from asli.detector.heads import crop_preprocessing
from asli.models.coded import LARGEST, STEPS, coded
from asli.models.codes import CODES
from asli.models.networks import Network, create_network
from asli.progress import progress

RATES = (3.4, 3.2, 2.9, 2.9, 2.9, 2.9, 2.9)
"""Entropy of a block's codes, in bits a weight: more in the first blocks, whose errors reach all others."""
PICTURES, AT_ONCE, PANEL, DAMPING, CLASS_TOKEN = 112, 16, 128, 0.01, 4.0

Array = np.ndarray


def entropy(codes: Array) -> float:
    """Return the entropy of whole numbers, in bits."""
    share = np.unique(codes, return_counts=True)[1] / codes.size
    return float(-(share * np.log2(share)).sum())


def step_of(weight: Array, bits: float) -> np.float32:
    """Return the step whose multiples of a matrix have an entropy of so many bits."""
    low, high = np.log(weight.std() * 0.02), np.log(weight.std() * 8)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(np.rint(weight / np.exp(middle))) > bits else (low, middle)
    return np.float32(np.exp(high))


def rounded(weight: Array, hessian: Array, bits: float) -> tuple[Array, np.float32]:
    """Return the codes of a matrix, int8, rows x columns, and their step.

    Args:
        weight: float32, rows x columns.
        hessian: Mean outer product of the layer's inputs, columns x columns.
        bits: Entropy wanted.
    """
    order = np.argsort(-np.diag(hessian))
    damped = hessian[order][:, order].astype(np.float64)
    damped[np.diag_indices(len(damped))] += DAMPING * np.diag(hessian).mean()
    factor = cholesky(np.linalg.inv(damped), lower=False).astype(np.float32)

    def with_step(step: np.float32) -> Array:
        left, codes = weight[:, order].copy(), np.zeros(weight.shape, np.int8)
        for start in range(0, len(order), PANEL):
            panel = left[:, start : start + PANEL]
            errors = np.zeros_like(panel)
            for column in range(panel.shape[1]):
                code = np.clip(np.rint(panel[:, column] / step), -LARGEST, LARGEST)
                at = start + column
                errors[:, column] = (panel[:, column] - code * step) / factor[at, at]
                panel[:, column + 1 :] -= np.outer(errors[:, column], factor[at, at + 1 : start + panel.shape[1]])
                codes[:, at] = code
            left[:, start + PANEL :] -= errors @ factor[start : start + PANEL, start + PANEL :]
        return codes

    step = step_of(weight, bits)
    codes = with_step(step)
    found = entropy(codes)
    if found > bits + 0.03:
        step = step * np.float32(2 ** (found - bits))
        codes = with_step(step)
    return codes[:, np.argsort(order)], step


def statistics(block: torch.nn.Module, layer: torch.nn.Linear, inputs: list[torch.Tensor]) -> tuple[Array, Array]:
    """Return the mean outer product (weighted) and the mean of a layer's inputs."""
    width = layer.in_features
    product, mean, count = torch.zeros(width, width), torch.zeros(width), 0

    def watch(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal count
        weight = 1 / given[0].norm(dim=2, keepdim=True).clamp_min(1e-6)
        weight[:, 0] *= CLASS_TOKEN**0.5
        tokens = (given[0] * weight / weight.mean()).flatten(0, 1)
        product.add_(tokens.T @ tokens)
        mean.add_(given[0].flatten(0, 1).sum(0))
        count += len(tokens)

    handle = layer.register_forward_pre_hook(watch)
    for x in inputs:
        block(x)
    handle.remove()
    return (product / count).numpy(), (mean / count).numpy()


def windows(table: Path, pictures: Path, network: Network) -> list[torch.Tensor]:
    """Return normalized middle windows of drawn development pictures, in batches."""
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    cut = crop_preprocessing(network, "grid", 1, "mean", 1024)
    found = []
    for number in np.random.default_rng(0).permutation(len(rows))[:PICTURES]:
        data = (pictures / rows[number]["path"]).read_bytes()
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        found.append(cut.to_input(np.asarray(viewed(image, rows[number]["sha256"], "A")))[0])
    seen = np.stack(found)
    return [cut.batch(seen[start : start + AT_ONCE], torch.device("cpu")) for start in range(0, len(seen), AT_ONCE)]


@torch.inference_mode()
def main() -> None:
    """Round and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="development.csv")
    parser.add_argument("--pictures", type=Path, required=True, help="folder that the table's paths start from")
    parser.add_argument("--trunk", type=Path, required=True, help="as asli trunk fetch clip-b16 writes it")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    pillow_heif.register_heif_opener()
    network = create_network("clip-b16-early", size=224)
    module = network.module
    tensors = {key: value.float() for key, value in load_file(given.trunk).items() if key in module.state_dict()}
    module.load_state_dict({key: value for key, value in tensors.items() if "head" not in key}, strict=False)
    state, steps = module.state_dict(), {}
    for name in ("pos_embed", "patch_embed.proj.weight"):
        steps[name] = state[name].abs().max() / LARGEST
        state[name].copy_(torch.round(state[name] / steps[name]) * steps[name])
    inputs = []
    for batch in windows(given.table, given.pictures, network):
        x = module.patch_embed(batch)
        x = torch.cat([module.cls_token.expand(len(x), -1, -1), x], dim=1) + module.pos_embed
        inputs.append(module.norm_pre(x))
    with progress("rounding", 4 * len(RATES), unit="layers") as bar:
        for number, bits in enumerate(RATES):
            block = module.blocks[number]
            for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
                layer = block.get_submodule(name)
                hessian, mean = statistics(block, layer, inputs)
                before = layer.weight.numpy().copy()
                codes, step = rounded(before, hessian, bits)
                layer.weight.copy_(torch.from_numpy(codes.astype(np.float32) * step))
                layer.bias += torch.from_numpy((before - layer.weight.numpy()) @ mean)
                steps[f"blocks.{number}.{name}.weight"] = torch.tensor(step)
                bar.advance(1)
            inputs = [block(x) for x in inputs]
    made = {f"{name}{CODES}": coded(state[name], float(steps[name])) for name in module.coded}
    made[STEPS] = torch.stack([steps[name].float() for name in module.coded])
    rest = set(state) - set(module.coded) - {STEPS}
    made |= {name: state[name].half() for name in sorted(rest) if not name.startswith(f"{network.head}.")}
    save_file(made, given.out)
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
