"""Opening a network to adopt: its files set out as they will be kept, its preprocessing translated, its labels read."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from asli.adopting import graphs
from asli.adopting.label_mapping import outputs_of
from asli.adopting.processors import LARGEST_INPUT, Translated, from_processor, from_timm
from asli.adopting.reference import Pipeline, Reference, ReferenceNetwork, module_logits, processed
from asli.adopting.source import AdoptionSource
from asli.detector.adopted_network import load_network, quiet, refusing, require_transformers
from asli.detector.author import Activation, Outputs
from asli.detector.store import CONFIG, ONNX, PROCESSOR, WEIGHTS
from asli.errors import DetectorError
from asli.files import read_json, write_json

Processor = Literal["fast", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user states beyond the source.

    Attributes:
        fake: Labels that mean fake.
        real: Labels that mean real.
        preprocessing: A file in the form of `preprocessor_config.json` or of timm's `pretrained_cfg`.
        processor: Which of transformers' image processors is matched; None takes the pipeline's own choice.
        strip_prefix: What stands before the names of a bare state dict's tensors.
    """

    fake: Sequence[str] = ()
    real: Sequence[str] = ()
    preprocessing: Path | None = None
    processor: Processor | None = None
    strip_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A network ready to be compared with its original.

    Attributes:
        name: Architecture.
        outputs: What its outputs mean.
        translated: Its preprocessing.
        reference: The original.
    """

    name: str
    outputs: Outputs
    translated: Translated
    reference: Reference


def set_out(source: AdoptionSource, folder: Path, choices: Choices) -> Opened:
    """Copy or write the network's files into a folder, and open it there.

    Raises:
        DetectorError: It cannot be opened, or something about it cannot be told; see the messages.
        MissingExtraError: transformers or onnx is needed and not installed.
    """
    if choices.preprocessing is not None and not choices.preprocessing.is_file():
        raise DetectorError(f"--preprocessing {choices.preprocessing} does not exist")
    if source.library == "onnx":
        return _onnx(source, folder, choices)
    if choices.strip_prefix and source.architecture is None:
        raise DetectorError("--strip-prefix is for a bare state dict: give --architecture timm:NAME, too")
    if source.library == "timm":
        return _timm(source, folder, choices)
    return _transformers(source, folder, choices)


def _transformers(source: AdoptionSource, folder: Path, choices: Choices) -> Opened:
    transformers = require_transformers()
    shutil.copyfile(source.folder / CONFIG, folder / CONFIG)
    shutil.copyfile(source.weights, folder / WEIGHTS)
    given = choices.preprocessing or source.folder / PROCESSOR
    if not given.is_file():
        raise DetectorError(f"{source.name} has no {PROCESSOR}; give its preprocessing with --preprocessing FILE")
    _copy_processor(given, folder)
    what = f"transformers {transformers.__version__} does not know the network of {source.name}"
    with quiet(), refusing(f"{what} (model_type '{source.config.get('model_type')}')"):
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if type(config) not in transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise DetectorError(
            f"{source.name} is a '{config.model_type}', which is no image classifier of transformers; asli adopts image"
            " classifiers"
        )
    if sorted(config.id2label) != list(range(config.num_labels)):
        raise DetectorError(
            f"id2label in {CONFIG} of {source.name} does not number its labels from 0; it cannot be read"
        )
    names = [str(config.id2label[number]) for number in range(config.num_labels)]
    outputs = outputs_of(names, _activation(config, source.name), choices.fake, choices.real)
    processor = _open_processor(folder, choices.processor)
    model = load_network(folder, "transformers")
    return Opened(
        name=type(model).__name__,
        outputs=outputs,
        translated=from_processor(processor),
        reference=Pipeline(model, processor, outputs),
    )


def _activation(config: Any, name: str) -> Activation:
    """Return what transformers' pipeline applies to the logits."""
    if config.problem_type == "regression":
        raise DetectorError(f"{name} is a regression, whose outputs are no probabilities; asli adopts classifiers")
    several = config.problem_type != "multi_label_classification" and config.num_labels > 1
    return "softmax" if several else "sigmoid"


def _copy_processor(given: Path, folder: Path) -> None:
    with refusing(f"{given} cannot be read as {PROCESSOR}"):
        settings = dict(read_json(given))
    if settings.get("auto_map"):
        raise DetectorError(
            f"{given.name} needs code from its repository (auto_map); asli runs no code of others: give an equal"
            " standard processor with --preprocessing FILE"
        )
    if not {"image_processor_type", "feature_extractor_type"} & set(settings):
        settings["image_processor_type"] = "ViTImageProcessor"  # what the settings alone describe
        write_json(folder / PROCESSOR, settings)
    else:
        shutil.copyfile(given, folder / PROCESSOR)


def _open_processor(folder: Path, wanted: Processor | None) -> Any:
    transformers = require_transformers()
    backend = {"fast": "torchvision", "slow": "pil"}.get(wanted or "")
    options = {} if backend is None else {"backend": backend}
    # By itself: beside a config.json of timm transformers would take timm's own preprocessing instead.
    with tempfile.TemporaryDirectory() as alone, quiet(), refusing(f"{PROCESSOR} cannot be opened"):
        shutil.copyfile(folder / PROCESSOR, Path(alone) / PROCESSOR)
        return transformers.AutoImageProcessor.from_pretrained(
            alone, local_files_only=True, trust_remote_code=False, **options
        )


def _timm(source: AdoptionSource, folder: Path, choices: Choices) -> Opened:
    import timm
    from timm.data import create_transform, resolve_data_config

    config = {key: value for key, value in source.config.items() if value is not None}
    if source.architecture is not None:
        config = _bare(source, folder, choices)
    else:
        _copy_weights(source.weights, folder)
        if choices.preprocessing is not None:
            with refusing(f"pretrained_cfg in {CONFIG} of {source.name} cannot be read"):
                config["pretrained_cfg"] = {**config.get("pretrained_cfg", {}), **_timm_settings(choices.preprocessing)}
        write_json(folder / CONFIG, config)
    module = load_network(folder, "timm")
    with refusing(f"labels in {CONFIG} of {source.name} cannot be read"):
        count = int(config.get("num_classes") or config.get("pretrained_cfg", {}).get("num_classes") or 0)
        names = [str(name) for name in config.get("label_names") or [f"LABEL_{number}" for number in range(count)]]
    if len(names) != count:
        raise DetectorError(f"{CONFIG} of {source.name} has {len(names)} labels for {count} outputs")
    activation: Activation = "softmax" if count > 1 else "sigmoid"
    outputs = outputs_of(names, activation, choices.fake, choices.real)
    with refusing(f"pretrained_cfg in {CONFIG} of {source.name} cannot be read"):
        data = resolve_data_config({}, pretrained_cfg=dict(cast("dict[str, Any]", module.pretrained_cfg)))
    processor = None
    if (folder / PROCESSOR).is_file():  # the user's file in the form of transformers
        processor = _open_processor(folder, choices.processor)
        translated = from_processor(processor)
    else:
        translated = from_timm(data)
    with refusing(f"timm cannot make the transform of {source.name}"):
        transform = create_transform(**data, is_training=False)

    def prepare(picture: Any) -> Any:
        from PIL import ImageOps

        if processor is not None:
            return processed(processor, picture)
        return transform(ImageOps.exif_transpose(picture).convert("RGB")).numpy()

    reference = ReferenceNetwork(
        f"timm {timm.__version__}'s transform and network", prepare, module_logits(module), outputs
    )
    return Opened(name=str(config["architecture"]), outputs=outputs, translated=translated, reference=reference)


WRAPPED = "timm_model."
"""Prefix of tensor names in transformers' wrapper of timm."""


def _copy_weights(weights: Path, folder: Path) -> None:
    """Copy weights under timm's own names."""
    tensors = _tensors(weights)
    if all(key.startswith(WRAPPED) for key in tensors):
        _write_weights({key.removeprefix(WRAPPED): value for key, value in tensors.items()}, folder)
    else:
        shutil.copyfile(weights, folder / WEIGHTS)


def _tensors(weights: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    with refusing(f"{weights} is not a readable safetensors file"):
        return dict(load_file(weights))


def _write_weights(tensors: dict[str, Any], folder: Path) -> None:
    from safetensors.torch import save

    # safetensors' own `save_file` makes a file that only its owner can read.
    (folder / WEIGHTS).write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, metadata={"format": "pt"}))


def _bare(source: AdoptionSource, folder: Path, choices: Choices) -> dict[str, Any]:
    """Write the files of a bare state dict as timm's hub format; return `config.json`."""
    import timm

    name = str(source.architecture)
    if not timm.is_model(name):
        raise DetectorError(f"timm {timm.__version__} has no network '{name}'; see timm.list_models()")
    tensors = _tensors(source.weights)
    prefix = choices.strip_prefix
    if prefix:
        kept = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if not kept:
            example = next(iter(tensors), "none")
            raise DetectorError(f"no tensor of {source.weights.name} begins with '{prefix}' (first: {example})")
        tensors = kept
    default = timm.get_pretrained_cfg(name)
    settings = {} if default is None else {k: v for k, v in default.to_dict().items() if k in _KEPT}
    classifier = settings.get("classifier")
    head = tensors.get(f"{classifier}.weight") if isinstance(classifier, str) else None
    if head is None:
        raise DetectorError(
            f"{source.weights.name} has no head '{classifier}.weight' of timm's {name} (first tensor:"
            f" {next(iter(tensors), 'none')}); name what stands before its names with --strip-prefix"
        )
    arguments: dict[str, Any] = {}
    if choices.preprocessing is not None:
        with refusing(f"{choices.preprocessing} cannot be read as JSON"):
            stated = dict(read_json(choices.preprocessing))
        if "input_size" in stated or "crop_pct" in stated:
            settings.update(_timm_settings(choices.preprocessing))
        else:
            _copy_processor(choices.preprocessing, folder)
            side = from_processor(_open_processor(folder, choices.processor)).preprocessing.size
            settings["input_size"] = [3, side, side]
        _require_input(settings["input_size"], choices.preprocessing)
        if default is not None and tuple(settings["input_size"]) != tuple(default.input_size):
            arguments = {"model_args": {"img_size": settings["input_size"][1]}} if _sized(name) else {}
    config = {
        "architecture": name.partition(".")[0],
        "num_classes": int(head.shape[0]),
        "pretrained_cfg": {**settings, "num_classes": int(head.shape[0])},
        **arguments,
    }
    write_json(folder / CONFIG, config)
    _write_weights(tensors, folder)
    return config


_INPUT = frozenset(("input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"))
_KEPT = _INPUT | {"classifier", "first_conv"}
"""Keys of timm's configuration that describe the network and its input, not its weights."""


def _require_input(size: Any, path: Path) -> None:
    sides = size if isinstance(size, (list, tuple)) and len(size) == 3 else [None]
    if not all(type(side) is int and 0 < side <= LARGEST_INPUT for side in sides):
        raise DetectorError(f"input_size in {path} is {size!r}; give [3, SIDE, SIDE] in pixels, up to {LARGEST_INPUT}")


def _sized(name: str) -> bool:
    """Return whether a network is built for one size of input."""
    import timm

    try:
        timm.create_model(name, img_size=timm.get_pretrained_cfg(name).input_size[1])
    except TypeError:
        return False
    return True


def _timm_settings(path: Path) -> dict[str, Any]:
    with refusing(f"{path} cannot be read as JSON"):
        return {key: value for key, value in dict(read_json(path)).items() if key in _KEPT}


def _onnx(source: AdoptionSource, folder: Path, choices: Choices) -> Opened:
    from asli.exporting.onnx import require_onnx

    require_onnx()
    if choices.preprocessing is None:
        raise DetectorError(
            f"{source.name} is an ONNX file, which does not state its preprocessing: give --preprocessing FILE, in the"
            f" form of {PROCESSOR}, with 'labels' and, where it gives probabilities, 'outputs': 'probabilities'"
        )
    _copy_processor(choices.preprocessing, folder)
    settings = dict(read_json(choices.preprocessing))
    given, count = graphs.describe(source.weights)
    names = [str(name) for name in settings.get("labels") or [f"LABEL_{number}" for number in range(count)]]
    if len(names) != count:
        raise DetectorError(f"{choices.preprocessing} names {len(names)} labels and {source.name} has {count} outputs")
    form = settings.get("outputs", "logits")
    if form not in ("logits", "probabilities") or (form == "probabilities" and count == 1):
        raise DetectorError(
            f"'outputs' is '{form}' for {count} outputs; a single output must be a logit, several may be probabilities"
        )
    activation: Activation = "softmax" if count > 1 else "sigmoid"
    outputs = outputs_of(names, activation, choices.fake, choices.real)
    processor = _open_processor(folder, choices.processor)
    translated = from_processor(processor)
    with refusing(f"asli cannot write the graph of {source.name} in its own form"):
        graphs.with_pixels_and_pair(
            source.weights,
            folder / ONNX,
            translated.preprocessing,
            outputs,
            bgr=translated.bgr,
            probabilities=form == "probabilities",
        )
    session = _session(source.weights)

    def logits(inputs: Any) -> Any:
        (values,) = session.run(None, {given: np.ascontiguousarray(inputs, dtype=np.float32)})[:1]
        if form == "probabilities":
            return np.log(np.maximum(values, 1e-30))
        if count > 1 and (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-4):
            raise DetectorError(
                f"the outputs of {source.name} add up to one, so they are probabilities: state 'outputs':"
                f" 'probabilities' in {choices.preprocessing}"
            )
        return values

    what = f"{type(processor).__name__} and ONNX Runtime on the author's file"
    reference = ReferenceNetwork(what, lambda picture: processed(processor, picture), logits, outputs)
    return Opened(name=source.weights.stem, outputs=outputs, translated=translated, reference=reference)


def _session(path: Path) -> Any:
    import onnxruntime

    with refusing(f"{path} cannot be run"):
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
