"""Tiny networks with random weights, as transformers and timm save them, each with a processor of its own."""

import json

import torch

from asli.adopting.processors import from_processor

LABELS = {0: "human", 1: "artificial"}

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def vit(t):
    config = t.ViTConfig(**SMALL, image_size=48, patch_size=8)
    return t.ViTForImageClassification(config), t.ViTImageProcessor(size={"height": 48, "width": 48}, resample=3)


def deit(t):
    config = t.DeiTConfig(**SMALL, image_size=48, patch_size=8)
    size = {"size": {"height": 60, "width": 60}, "crop_size": {"height": 48, "width": 48}}
    return t.DeiTForImageClassification(config), t.DeiTImageProcessor(**size)


def beit(t):
    config = t.BeitConfig(**SMALL, image_size=48, patch_size=8, use_relative_position_bias=True)
    size = {"size": {"height": 56, "width": 56}, "crop_size": {"height": 48, "width": 48}, "do_center_crop": True}
    return t.BeitForImageClassification(config), t.BeitImageProcessor(**size, resample=2, image_mean=[0.4, 0.5, 0.6])


def swin(t):
    config = t.SwinConfig(image_size=64, patch_size=4, embed_dim=24, depths=[1, 1], num_heads=[2, 2], window_size=4)
    return t.SwinForImageClassification(config), t.ViTImageProcessor(size={"height": 64, "width": 64}, resample=3)


def swinv2(t):
    config = t.Swinv2Config(image_size=64, patch_size=4, embed_dim=24, depths=[1, 1], num_heads=[2, 2], window_size=4)
    return t.Swinv2ForImageClassification(config), t.ViTImageProcessor(size={"height": 64, "width": 64})


def convnext(t):
    config = t.ConvNextConfig(hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 2, 1])
    return t.ConvNextForImageClassification(config), t.ConvNextImageProcessor(
        size={"shortest_edge": 96}, crop_pct=0.9, resample=2
    )


def convnextv2(t):
    config = t.ConvNextV2Config(hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 2, 1])
    return t.ConvNextV2ForImageClassification(config), t.ConvNextImageProcessor(size={"shortest_edge": 384})


def siglip(t):
    vision = t.SiglipVisionConfig(**SMALL, image_size=48, patch_size=8)
    config = t.SiglipConfig(vision_config=vision.to_dict(), text_config=SMALL)
    return t.SiglipForImageClassification(config), t.SiglipImageProcessor(size={"height": 48, "width": 48})


def dinov2(t):
    config = t.Dinov2Config(
        **{k: v for k, v in SMALL.items() if k != "intermediate_size"}, image_size=56, patch_size=14
    )
    size = {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}}
    return t.Dinov2ForImageClassification(config), t.BitImageProcessor(**size)


def clip(t):
    vision = t.CLIPVisionConfig(**SMALL, image_size=48, patch_size=8, projection_dim=16)
    config = t.CLIPConfig(vision_config=vision.to_dict(), text_config=SMALL)
    size = {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}
    return t.CLIPForImageClassification(config), t.CLIPImageProcessor(**size)


def resnet(t):
    config = t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")
    return t.ResNetForImageClassification(config), t.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)


def mobilenet_v2(t):
    config = t.MobileNetV2Config(image_size=96, depth_multiplier=0.35)
    size = {"size": {"shortest_edge": 101}, "crop_size": {"height": 96, "width": 96}}
    return t.MobileNetV2ForImageClassification(config), t.MobileNetV2ImageProcessor(**size, resample=2)


def efficientnet(t):
    config = t.EfficientNetConfig(image_size=64, width_coefficient=0.2, depth_coefficient=0.2, hidden_dim=256)
    return t.EfficientNetForImageClassification(config), t.EfficientNetImageProcessor(
        size={"height": 64, "width": 64}, rescale_offset=True, rescale_factor=1 / 127.5, include_top=False, resample=2
    )


def regnet(t):
    config = t.RegNetConfig(embedding_size=16, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], groups_width=8)
    return t.RegNetForImageClassification(config), t.ConvNextImageProcessor(size={"shortest_edge": 80}, crop_pct=0.8)


def mobilevit(t):
    config = t.MobileViTConfig(image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 24, 32, 40, 64])
    size = {"size": {"shortest_edge": 60}, "crop_size": {"height": 64, "width": 64}}  # pads: the default does, too
    return t.MobileViTForImageClassification(config), t.MobileViTImageProcessor(**size)


NETWORKS = {
    one.__name__: one
    for one in (
        vit,
        deit,
        beit,
        swin,
        swinv2,
        convnext,
        convnextv2,
        siglip,
        dinov2,
        clip,
        resnet,
        mobilenet_v2,
        efficientnet,
        regnet,
        mobilevit,
    )
}


def save(name, folder, labels=LABELS, **config):
    """Save a network and its processor as their author would; heads are enlarged, so that scores spread."""
    import transformers

    torch.manual_seed(3)
    build = NETWORKS[name]
    model, processor = build(transformers)
    made = type(model.config)(
        **{
            **model.config.to_dict(),
            "id2label": labels,
            "label2id": {label: number for number, label in labels.items()},
            **config,
        }
    )
    torch.manual_seed(3)
    model = type(model)(made).eval()
    sharpen(model, from_processor(processor).preprocessing.size)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def sharpen(model, size):
    """Draw the head anew, so that scores spread: as random weights come, all are about one half.

    Running statistics of BatchNorm become those of some inputs, since those of initialization let signals die.
    """
    generator = torch.Generator().manual_seed(4)
    linear = [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1]
    light = torch.linspace(-1.5, 1.5, 16).view(16, 1, 1, 1)
    images = torch.randn(16, 3, size, size, generator=generator) * torch.linspace(0.1, 1, 16).view(16, 1, 1, 1) + light
    with torch.no_grad():
        model.train()
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.momentum = None  # a plain mean over what follows
                part.reset_running_stats()
        model(images)
        model.eval()
        linear.weight.copy_(torch.randn(linear.weight.shape, generator=generator))
        logits = model(images)
        logits = logits if isinstance(logits, torch.Tensor) else logits.logits
        linear.weight /= logits.std(dim=0).mean()
        if linear.bias is not None:
            linear.bias.copy_(-logits.mean(dim=0) / logits.std(dim=0).mean())


def save_timm_wrapper(folder, crop_mode="border", crop_pct=0.9):
    """Save a network through transformers' wrapper of timm."""
    import transformers

    torch.manual_seed(3)
    config = transformers.TimmWrapperConfig(
        architecture="test_resnet",
        num_labels=2,
        id2label=LABELS,
        pretrained_cfg={
            "input_size": [3, 96, 96],
            "interpolation": "bicubic",
            "crop_pct": crop_pct,
            "crop_mode": crop_mode,
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
            "classifier": "fc",
            "first_conv": "conv1.0",
        },
    )
    model = transformers.TimmWrapperForImageClassification(config).eval()
    sharpen(model, 96)
    model.save_pretrained(folder)
    return folder


def save_bare(folder, prefix="vit.", outputs=1):
    """Save a timm network's state dict alone, with a prefix, as Community Forensics publishes its networks."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(3)
    model = timm.create_model("test_vit", num_classes=outputs).eval()
    sharpen(model, 160)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({f"{prefix}{key}": value for key, value in model.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_size": "tiny", "input_size": 160}))
    return folder, model
