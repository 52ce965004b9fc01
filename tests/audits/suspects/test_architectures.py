"""Networks of every family: built, filled strictly, and answering as the packages themselves do."""

import numpy as np
import pytest
import torch
from PIL import Image

from audits.suspects import ModelSpec, SuspectError
from audits.suspects.architectures import build
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.preparation import prepared
from audits.suspects.small_resnet import SmallResNet
from tests.audits.suspects.models import cifar_weights, clip_model, clip_spec, onnx_file, save, seeded

pytestmark = pytest.mark.long

CPU = torch.device("cpu")


def timm_model(name, **options):
    import timm  # takes longer to load than many tests take, and every process of a run collects this file

    return timm.create_model(name, pretrained=False, **options)


def pictures(side, count=3, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    ).float()


def asked(spec, path, images=None):
    encoder = build(spec, path, CPU)
    with torch.inference_mode():
        return encoder, *encoder.ask(pictures(encoder.input_size) if images is None else images)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_timm_answers_as_timm_does_and_reads_the_classes_off_the_weights(tmp_path, name):
    seeded()
    model = timm_model(name, num_classes=7).eval()
    spec = ModelSpec(f"timm:{name}", returns=("features", "soft"))
    encoder, features, soft = asked(spec, save(model.state_dict(), tmp_path / "w.safetensors"))
    with torch.inference_mode():
        expected = model(encoder.normalise(pictures(encoder.input_size))).softmax(1)
    assert torch.allclose(soft, expected, atol=1e-5)
    assert features.shape == (3, model.num_features) or features.shape[0] == 3
    assert encoder.parameters == sum(p.numel() for p in model.parameters())


def test_a_timm_encoder_without_head_gives_features_only(tmp_path):
    path = save(timm_model("resnet18", num_classes=0).state_dict(), tmp_path / "w.safetensors")
    _, features, soft = asked(ModelSpec("timm:resnet18", input_size=64), path)
    assert features.shape == (3, 512)
    assert soft is None
    with pytest.raises(SuspectError, match="no classification head"):
        build(ModelSpec("timm:resnet18", returns=("soft",)), path, CPU)


def test_a_transformer_takes_the_input_size_of_the_description(tmp_path):
    model = timm_model("vit_tiny_patch16_224", img_size=64, num_classes=0, in_chans=1)
    spec = ModelSpec("timm:vit_tiny_patch16_224", input_size=64, channels=1)
    encoder, features, _ = asked(spec, save(model.state_dict(), tmp_path / "w.safetensors"))
    assert (encoder.input_size, features.shape) == (64, (3, 192))


@pytest.mark.parametrize("wrapped", ["plain", "nested", "parallel", "old"])
def test_checkpoints_are_unwrapped(tmp_path, wrapped):
    seeded()
    model = CifarResNet(20).eval()
    state = model.state_dict()
    if wrapped == "parallel":
        state = {f"module.{name}": value for name, value in state.items()}
    content = {"state_dict": state, "best_prec1": 91.0} if wrapped != "plain" else state
    torch.save(content, tmp_path / "w.th", _use_new_zipfile_serialization=wrapped != "old")
    _, features, soft = asked(ModelSpec("cifar_resnet:20", returns=("features", "soft")), tmp_path / "w.th")
    with torch.inference_mode():
        expected, logits = model(build(ModelSpec("cifar_resnet:20"), tmp_path / "w.th", CPU).normalise(pictures(32)))
    assert torch.allclose(features, expected, atol=1e-6)
    assert torch.allclose(soft, logits.softmax(1), atol=1e-6)


def test_the_pilots_network_is_known(tmp_path):
    path = save(SmallResNet(8, (2, 1, 1, 1), classes=5).state_dict(), tmp_path / "w.safetensors")
    _, features, soft = asked(ModelSpec("small_resnet:8:2-1-1-1", returns=("features", "soft")), path)
    assert (features.shape, soft.shape) == ((3, 64), (3, 5))


def test_open_clip_gives_features_and_zero_shot_labels_as_open_clip_does(tmp_path):
    from open_clip.tokenizer import SimpleTokenizer

    model = clip_model()
    path = save(model.state_dict(), tmp_path / "w.safetensors")
    names = ("cat", "dog", "ship")
    encoder, features, soft = asked(
        clip_spec(returns=("features", "soft"), class_names=names, templates=("a {}",)), path
    )
    with torch.inference_mode():
        image = encoder.normalise(pictures(32))
        text = model.encode_text(SimpleTokenizer(context_length=16)([f"a {name}" for name in names]), normalize=True)
        logits = model.logit_scale.exp() * model.encode_image(image, normalize=True) @ text.T
        assert torch.allclose(features, model.encode_image(image), atol=1e-6)
        assert torch.allclose(soft, logits.softmax(1), atol=1e-5)


def test_the_image_tower_alone_suffices_for_features_and_not_for_labels(tmp_path):
    tower = {f"visual.{name}": value for name, value in clip_model().visual.state_dict().items()}
    path = save(tower, tmp_path / "w.safetensors")
    assert asked(clip_spec(), path)[1].shape == (3, 32)
    with pytest.raises(SuspectError, match=r"token_embedding|positional_embedding"):
        build(clip_spec(returns=("soft",), class_names=("a", "b")), path, CPU)


@pytest.mark.parametrize(("batch", "side"), [("batch", 16), (2, 16), ("batch", "side")])
def test_onnx_with_fixed_and_free_batches(tmp_path, batch, side):
    spec = ModelSpec("onnx", returns=("features", "soft"), input_size=16, mean=(0.0,) * 3, deviation=(1.0,) * 3)
    images = pictures(16, count=5)
    _, features, soft = asked(spec, onnx_file(tmp_path / "net.onnx", batch, side), images)
    means = images.mean(dim=(2, 3)) / 255
    assert torch.allclose(features, means, atol=1e-5)
    assert torch.allclose(soft, (means @ (torch.arange(12.0).reshape(3, 4) / 10)).softmax(1), atol=1e-5)


def test_onnx_outputs_can_be_named_and_wrong_names_are_told(tmp_path):
    path = onnx_file(tmp_path / "net.onnx")
    _, features, _ = asked(ModelSpec("onnx", features_output="logits"), path, pictures(16))
    assert features.shape == (3, 4)
    with pytest.raises(SuspectError, match="embedding, logits"):
        build(ModelSpec("onnx", features_output="nothing"), path, CPU)
    with pytest.raises(SuspectError, match="16 pixels"):
        build(ModelSpec("onnx", input_size=32), path, CPU)
    with pytest.raises(SuspectError, match="input size"):
        build(ModelSpec("onnx"), onnx_file(tmp_path / "free.onnx", side="side"), CPU)


def test_misfits_name_the_first_tensors(tmp_path):
    path = cifar_weights(tmp_path)
    with pytest.raises(SuspectError, match=r"layer1\.3\.conv1\.weight") as missing:
        build(ModelSpec("cifar_resnet:32"), path, CPU)
    assert missing.value.kind == "weights"
    with pytest.raises(SuspectError, match="not part of it"):
        build(ModelSpec("timm:resnet18"), path, CPU)
    with pytest.raises(SuspectError, match=r"conv1\.weight: \(16, 3, 3, 3\) in the file, \(16, 1, 3, 3\) expected"):
        build(ModelSpec("cifar_resnet:20", channels=1), path, CPU)
    with pytest.raises(SuspectError, match="10 classes, not 12"):
        build(ModelSpec("cifar_resnet:20", classes=12), path, CPU)
    with pytest.raises(SuspectError, match="choose the architecture"):
        build(ModelSpec("timm:resnet18"), onnx_file(tmp_path / "net.onnx"), CPU)
    with pytest.raises(SuspectError, match="needs an ONNX file"):
        build(ModelSpec("onnx"), path, CPU)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    state = CifarResNet(20).state_dict()
    state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    with pytest.raises(SuspectError, match=r"layer2\.0\.conv1\.weight") as refused:
        build(ModelSpec("cifar_resnet:20"), save(state, tmp_path / "w.safetensors"), CPU)
    assert refused.value.kind == "numbers"


def test_a_checkpoint_without_a_state_dict_is_told_so(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(SuspectError, match="no state dict"):
        build(ModelSpec("cifar_resnet:20"), tmp_path / "w.pt", CPU)


def test_pictures_are_resized_as_pillow_does_and_cut_at_the_centre():
    pixels = np.random.default_rng(3).integers(0, 256, (1, 40, 60, 3), dtype=np.uint8)
    ours = prepared(torch.from_numpy(pixels), 20)[0].permute(1, 2, 0).numpy().astype(int)
    theirs = np.asarray(Image.fromarray(pixels[0]).resize((30, 20), Image.Resampling.BICUBIC))[:, 5:25].astype(int)
    assert ours.shape == (20, 20, 3)
    assert np.abs(ours - theirs).max() <= 2
    same = torch.from_numpy(pixels[:, :20, :20])
    assert torch.equal(prepared(same, 20), same.permute(0, 3, 1, 2))
    assert prepared(torch.from_numpy(pixels), 97).shape == (1, 3, 97, 97)


@pytest.mark.shared
@pytest.mark.parametrize(("depth", "name"), [(20, "resnet20-12fca82f.th"), (32, "resnet32-d509ac18.th")])
def test_the_strangers_resnets_recognise_cifar(shared, depth, name):
    """ResNet-20 reaches 78 % on the JPEG test images; a wrong input would fall far below."""
    import io
    import zipfile

    spec = ModelSpec(f"cifar_resnet:{depth}", returns=("hard",))
    with zipfile.ZipFile(shared / "data" / "cifar10.zip") as archive:
        names = sorted(n for n in archive.namelist() if "test/" in n and n.endswith(".jpg"))[::33][:300]
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names])
    classes = sorted({n.split("/")[-2] for n in names})
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    _, _, soft = asked(spec, shared / "models" / name, images)
    truth = torch.tensor([classes.index(n.split("/")[-2]) for n in names])
    assert len(classes) == 10
    assert (soft.argmax(1) == truth).float().mean() > 0.7
