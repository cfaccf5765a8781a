"""Autoencoders that turn a photograph into an aligned fake: the same content, through a generator's last layers.

A latent generator produces its picture with a decoder. A photograph that passes encoder and decoder gets the traces of
that decoder and differs from the original in nothing else (Rajan et al. 2025; Chen et al. 2025).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from asli.errors import MissingExtraError, WeightsError

Reconstruct = Callable[[torch.Tensor], torch.Tensor]
"""Maps pixels in [0, 1], n x 3 x h x w with sides that are multiples of 8, to reconstructed ones."""

Upsampling = Literal["nearest", "transposed", "shuffle"]
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)

MULTIPLE = 8
_WIDTH = 64


class _Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


class _Block(nn.Module):
    """TAESD's residual block; some have a normalized 1 x 1 branch."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        n = _WIDTH
        self.conv = nn.Sequential(_conv(n, n), nn.ReLU(), _conv(n, n), nn.ReLU(), _conv(n, n))
        self.pool = (
            nn.Sequential(
                nn.Conv2d(n, 4 * n, 1, bias=False),
                nn.GroupNorm(4, 4 * n),
                nn.ReLU(),
                nn.Conv2d(4 * n, n, 1, bias=False),
            )
            if pooled
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return F.relu(self.conv(x) + x)


def _conv(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def _taef2() -> tuple[nn.Sequential, nn.Sequential]:
    def down() -> nn.Module:
        return _conv(_WIDTH, _WIDTH, stride=2, bias=False)

    def up() -> list[nn.Module]:
        return [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]

    def blocks() -> list[nn.Module]:
        return [_Block() for _ in range(3)]

    def pooled() -> list[nn.Module]:
        return [_Block(pooled=True) for _ in range(3)]

    encoder = nn.Sequential(
        *(_conv(3, _WIDTH), _Block(), down(), *blocks(), down(), *blocks(), down(), *pooled(), _conv(_WIDTH, 32))
    )
    decoder = nn.Sequential(
        *(_Clamp(), _conv(32, _WIDTH), nn.ReLU(), *pooled(), *up(), *blocks(), *up(), *blocks(), *up()),
        *(_Block(), _conv(_WIDTH, 3)),
    )
    return encoder, decoder


def taef2(encoder_file: Path) -> Reconstruct:
    """Open the tiny autoencoder of FLUX.2's latent space (TAEF2, MIT).

    Args:
        encoder_file: `...encoder.safetensors`; the decoder lies beside it as `...decoder.safetensors`.

    Raises:
        WeightsError: A file is missing or holds another network.
    """
    decoder_file = encoder_file.with_name(encoder_file.name.replace("encoder", "decoder"))
    if "encoder" not in encoder_file.name or not decoder_file.is_file():
        raise WeightsError(f"{encoder_file} must be named ...encoder.safetensors and have its decoder beside it")
    encoder, decoder = _taef2()
    for module, file in ((encoder, encoder_file), (decoder, decoder_file)):
        try:
            module.load_state_dict({key: value.float() for key, value in load_file(file).items()})
        except (SafetensorError, OSError, RuntimeError) as error:
            problem = " ".join(str(error).split())[:150]
            raise WeightsError(
                f"{file} is no TAEF2: {problem}; other autoencoders: hub:owner/name or builtin"
            ) from error
        module.eval()

    def reconstruct(pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = decoder(encoder(pixels))
        return found

    return reconstruct


def from_hub(name: str) -> Reconstruct:
    """Open diffusers' `AutoencoderKL`, from the hub or a folder.

    Args:
        name: `owner/name`, or a folder; its subfolder `vae` is taken where there is one.

    Raises:
        MissingExtraError: diffusers is not installed.
        WeightsError: It cannot be had.
    """
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        raise MissingExtraError("diffusers", "align") from error
    place = Path(name)
    folder = "vae" if not place.is_dir() or (place / "vae").is_dir() else None
    try:
        model = AutoencoderKL.from_pretrained(name, subfolder=folder).eval()
    except Exception as error:  # those of diffusers and of the hub's client
        raise WeightsError(f"no AutoencoderKL at {name}: {' '.join(str(error).split())[:200]}") from error

    def reconstruct(pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model.decode(model.encode(pixels * 2 - 1).latent_dist.mode()).sample
        return found / 2 + 0.5

    return reconstruct


class SmallAutoencoder(nn.Module):
    """A small autoencoder, by 8 down to 16 channels and up again, with one kind of upsampling.

    Args:
        upsampling: `nearest` and a convolution, `transposed` convolution, or pixel `shuffle`.
    """

    def __init__(self, upsampling: Upsampling) -> None:
        super().__init__()
        widths = (32, 48, 64)
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [_conv(before, width, stride=2), nn.ReLU(), _conv(width, width), nn.ReLU()]
            before = width
        self.encoder = nn.Sequential(*layers, _conv(before, 16))
        layers = [_conv(16, before), nn.ReLU()]
        for width in (*widths[-2::-1], widths[0]):
            layers += [*_up(upsampling, before, width), nn.ReLU(), _conv(width, width), nn.ReLU()]
            before = width
        self.decoder = nn.Sequential(*layers, _conv(before, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels in [0, 1], n x 3 x h x w, to reconstructed ones."""
        found: torch.Tensor = self.decoder(self.encoder(x))
        return found


def _up(upsampling: Upsampling, inputs: int, outputs: int) -> list[nn.Module]:
    if upsampling == "nearest":
        return [nn.Upsample(scale_factor=2), _conv(inputs, outputs)]
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
    return [_conv(inputs, 4 * outputs), nn.PixelShuffle(2)]


def train_small(
    upsampling: Upsampling, crops: Sequence[torch.Tensor], *, updates: int, seed: int, batch: int = 8
) -> SmallAutoencoder:
    """Train a small autoencoder on crops of photographs by their mean absolute error.

    Args:
        upsampling: See `SmallAutoencoder`.
        crops: uint8, 3 x side x side each.
        updates: Updates of the optimizer (Adam, 2e-3, falling to 0).
        seed: Seed of weights and order.
        batch: Crops an update.
    """
    torch.manual_seed(seed)
    model = SmallAutoencoder(upsampling)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / updates)
    order = torch.Generator().manual_seed(seed)
    for _ in range(updates):
        chosen = torch.randint(len(crops), (batch,), generator=order).tolist()
        pixels = torch.stack([crops[number] for number in chosen]).float() / 255
        loss = (model(pixels) - pixels).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()
