"""What cannot be adopted is refused in one line that states the reason, and nothing is written."""

import json
import shutil

import pytest

from asli.adopting.adopt import adopt
from asli.errors import DetectorError
from tests.adopting import networks


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    return networks.save("vit", tmp_path_factory.mktemp("author") / "vit")


@pytest.fixture
def copy(author, tmp_path):
    return shutil.copytree(author, tmp_path / "author")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(source, tmp_path, **options):
    with pytest.raises(DetectorError) as caught:
        adopt(source, tmp_path / "detector", onnx=False, **options)
    assert not (tmp_path / "detector").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pickles(copy, tmp_path):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    message = refused(copy, tmp_path)
    assert "pytorch_model.bin: asli reads safetensors only, since opening a pickle can run code" in message
    assert "safetensors only" in refused(copy / "pytorch_model.bin", tmp_path)


def test_remote_code(copy, tmp_path):
    change(copy / "config.json", auto_map={"AutoModelForImageClassification": "modeling.Net"})
    assert "needs code from its repository (AutoModelForImageClassification" in refused(copy, tmp_path)


def test_remote_code_of_the_processor(copy, tmp_path):
    change(copy / "preprocessor_config.json", auto_map={"AutoImageProcessor": "processing.Mine"})
    assert "asli runs no code of others" in refused(copy, tmp_path)


def test_another_task(copy, tmp_path):
    change(copy / "config.json", model_type="bert", architectures=["BertForSequenceClassification"])
    assert "'bert', which is no image classifier" in refused(copy, tmp_path)


def test_an_unknown_network(copy, tmp_path):
    change(copy / "config.json", model_type="ours")
    assert "does not know the network" in refused(copy, tmp_path)


def test_regression(copy, tmp_path):
    change(copy / "config.json", problem_type="regression")
    assert "is a regression" in refused(copy, tmp_path)


def test_several_sigmoids(copy, tmp_path):
    change(
        copy / "config.json",
        problem_type="multi_label_classification",
        id2label={"0": "ai generated", "1": "deepfake"},
        label2id={"ai generated": 0, "deepfake": 1},
    )
    assert "do not add up to one; name a single one with --fake-label" in refused(copy, tmp_path)


def test_labels_that_do_not_tell(copy, tmp_path):
    change(copy / "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    message = refused(copy, tmp_path)
    assert "'LABEL_0' does not tell whether it means real or fake (labels: LABEL_0, LABEL_1)" in message
    assert "--fake-label LABEL_2 is none of the network's labels" in refused(copy, tmp_path, fake_labels=["LABEL_2"])


def test_no_preprocessing(copy, tmp_path):
    (copy / "preprocessor_config.json").unlink()
    assert "--preprocessing FILE" in refused(copy, tmp_path)


def test_a_processor_that_is_not_translated(copy, tmp_path):
    change(copy / "preprocessor_config.json", image_processor_type="DonutImageProcessor")
    assert "DonutImageProcessor is not translated; known are those of" in refused(copy, tmp_path)


def test_sizes_that_are_not_square_or_not_fixed(copy, tmp_path):
    change(copy / "preprocessor_config.json", size={"height": 48, "width": 64})
    assert "asli takes square inputs" in refused(copy, tmp_path)
    change(copy / "preprocessor_config.json", size={"shortest_edge": 48})
    assert "has no fixed size" in refused(copy, tmp_path)


def test_padding_after_normalization(copy, tmp_path):
    change(copy / "preprocessor_config.json", do_pad=True, pad_size={"height": 48, "width": 48})
    assert "pads after normalization" in refused(copy, tmp_path)


def test_missing_tensors_are_not_left_random(copy, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 1 tensors (first: classifier.weight)" in refused(copy, tmp_path)


def test_a_bare_state_dict_without_architecture_or_prefix(tmp_path):
    folder, _ = networks.save_bare(tmp_path / "author")
    assert "--architecture timm:NAME [--strip-prefix PREFIX]" in refused(folder, tmp_path)
    with_head = {"architecture": "timm:test_vit", "fake_labels": ["LABEL_0"]}
    assert "has no head 'head.weight'" in refused(folder, tmp_path, **with_head)
    assert "no tensor of model.safetensors begins with 'net.'" in refused(
        folder, tmp_path, strip_prefix="net.", **with_head
    )
    assert "timm:" in refused(folder, tmp_path, architecture="test_vit")
    how = {"strip_prefix": "vit.", "fake_labels": ["LABEL_0"]}
    other = refused(folder, tmp_path, architecture="timm:test_vit3", **how)
    assert f"timm cannot open {folder}" in other
    assert "size mismatch" in other
    larger = refused(folder, tmp_path, architecture="timm:test_vit2", **how)
    assert "lacks 43 tensors (first: blocks.0.ls1.gamma): choose the architecture it was saved from" in larger


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_std": [0, 0, 0]}, "the settings of ViTImageProcessor cannot be read: float division by zero"),
        ({"image_std": [float("nan")] * 3}, "which is not finite"),
        ({"image_mean": ["a", "b", "c"]}, "the settings of ViTImageProcessor cannot be read"),
        ({"rescale_factor": 0}, "the settings of ViTImageProcessor cannot be read: float division by zero"),
        (
            {"size": {"height": 20_000, "width": 20_000}},
            "a side of 20000 pixels; asli takes whole numbers from 1 to 2048",
        ),
        ({"size": {"height": -4, "width": -4}}, "a side of -4 pixels"),
        ({"size": {"height": "a", "width": "a"}}, "a side of 'a' pixels"),
        ({"do_center_crop": True, "crop_size": {"height": 300_000, "width": 300_000}}, "a side of 300000 pixels"),
        ({"resample": [1]}, "the settings of ViTImageProcessor cannot be read"),
        ({"image_processor_type": 5}, "preprocessor_config.json cannot be opened"),
    ],
)
def test_hostile_settings_of_the_processor(copy, tmp_path, values, words):
    change(copy / "preprocessor_config.json", **values)
    assert words in refused(copy, tmp_path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"id2label": {"5": "human", "7": "artificial"}}, "does not number its labels from 0"),
        ({"id2label": ["human", "artificial"]}, "does not know the network"),
        ({"hidden_size": 1_000_000}, "transformers cannot open"),
        ({"hidden_size": "x"}, "does not know the network"),
        ({"model_type": ["vit"]}, "does not know the network"),
        ({"auto_map": 5}, "needs code from its repository (5 in auto_map of config.json)"),
    ],
)
def test_hostile_settings_of_the_network(copy, tmp_path, values, words):
    change(copy / "config.json", **values)
    assert words in refused(copy, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe{}", b"[1, 2]"])
def test_files_that_are_no_settings(copy, tmp_path, name, content):
    (copy / name).write_bytes(content)
    assert "cannot be read" in refused(copy, tmp_path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"input_size": [3, 100_000, 100_000]}, "a side of 100000 pixels; asli takes whole numbers from 1 to 2048"),
        ({"crop_pct": 1e-9}, "asli takes whole numbers from 1 to 2048"),
        ({"crop_pct": "a"}, "timm's configuration cannot be read"),
        ({"mean": [0.5]}, "asli takes networks of three color channels"),
        ({"std": [0, 0, 0]}, "fails on 0 (RGB, 32 x 32, JPEG)"),
    ],
)
def test_hostile_configurations_of_timm(tmp_path, values, words):
    folder = networks.save_timm_wrapper(tmp_path / "author")
    settings = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    change(folder / "config.json", pretrained_cfg={**settings, **values})
    assert words in refused(folder, tmp_path)
    change(folder / "config.json", pretrained_cfg=settings, label_names=["human"])
    assert "has 1 labels for 2 outputs" in refused(folder, tmp_path)


def test_preprocessing_of_bare_weights_that_is_none(tmp_path):
    folder, _ = networks.save_bare(tmp_path / "author")
    given = {"architecture": "timm:test_vit", "strip_prefix": "vit.", "fake_labels": ["LABEL_0"]}
    file = tmp_path / "preprocessing.json"
    for text, words in (
        ("garbage", "cannot be read as JSON"),
        ('{"input_size": "x"}', "input_size in"),
        ("[1]", "JSON"),
    ):
        file.write_text(text)
        assert words in refused(folder, tmp_path, preprocessing=file, **given)


def test_an_existing_folder_is_kept(author, tmp_path):
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector/mine.txt").write_text("mine")
    with pytest.raises(DetectorError, match="exists"):
        adopt(author, tmp_path / "detector")
    assert (tmp_path / "detector/mine.txt").read_text() == "mine"
