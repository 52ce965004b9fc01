"""Descriptions of models: read, written, refused with a sentence."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.suspects import ModelSpec, SpecError, catalogue
from tests.audits.suspects.models import TINY_CLIP, clip_spec

GOOD = [
    ModelSpec("timm:resnet18", returns=("features", "soft", "hard"), input_size=96, mean=(0.5, 0.5, 0.5)),
    ModelSpec("timm:resnet18.a1_in1k", channels=1, deviation=(0.3,), precision="bfloat16", channels_last=True),
    ModelSpec("open_clip:ViT-B-32", returns=("soft",), class_names=("cat", "dog"), templates=("a {}.", "the {}.")),
    ModelSpec("cifar_resnet:20", classes=10),
    ModelSpec("cifar_resnet:32", returns=("soft", "hard"), top_k=5),
    ModelSpec("small_resnet:16"),
    ModelSpec("small_resnet:8:2-1-1-1"),
    ModelSpec("onnx", returns=("hard",), scores="probabilities", scores_output="labels"),
    clip_spec(returns=("features", "soft"), class_names=("a", "b")),
]


ZERO_SHOT = {"architecture": "open_clip:ViT-B-32", "returns": ["hard"], "class_names": ["a", "b"]}


@pytest.mark.parametrize("spec", GOOD, ids=lambda spec: spec.architecture)
def test_a_description_survives_the_round_trip_through_json(spec):
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": "timm:no_such_network"}, "not an architecture"),
        ({"architecture": "timm:hf-hub:somebody/model"}, "not an architecture"),
        ({"architecture": "open_clip:local-dir:somewhere"}, "not an architecture"),
        ({"architecture": ""}, "Choose an architecture"),
        ({"architecture": 7}, "Choose an architecture"),
        ({"architecture": "cifar_resnet:21"}, "not an architecture"),
        ({"architecture": "small_resnet:0"}, "not an architecture"),
        ({"returns": []}, "at least one"),
        ({"returns": ["features", "features"]}, "once"),
        ({"returns": [["features"]]}, "not a level"),
        ({"returns": "features"}, "at least one"),
        ({"input_size": 4}, "between 8 and 2048"),
        ({"input_size": True}, "between 8 and 2048"),
        ({"mean": [0.5]}, "one number per input channel"),
        ({"mean": [123.7, 116.3, 103.5]}, "scale 0 to 1"),
        ({"deviation": [0.2, 0.0, 0.2]}, "above zero"),
        ({"mean": [0.5, float("nan"), 0.5]}, "plain numbers"),
        ({"classes": 1}, "classes"),
        ({"returns": ["soft"], "top_k": 0}, "likeliest labels"),
        ({"returns": ["soft"], "top_k": True}, "likeliest labels"),
        ({"returns": ["features", "hard"], "top_k": 3}, "soft labels"),
        ({"config": "{}"}, "open_clip:custom"),
        ({"class_names": ["a", "b"]}, "Only open_clip"),
        ({"precision": "int4"}, "float32 or bfloat16"),
        ({"surprise": 1}, "no field named"),
        ({"architecture": "open_clip:custom"}, "JSON"),
        ({"architecture": "open_clip:custom", "config": "{"}, "JSON"),
        ({"architecture": "open_clip:custom", "config": '{"embed_dim": 8}'}, "names embed_dim"),
        ({"architecture": "open_clip:ViT-B-32", "returns": ["soft"]}, "class names"),
        ({"architecture": "open_clip:ViT-B-32", "returns": ["soft"], "class_names": ["a", "a"]}, "different"),
        (
            {**ZERO_SHOT, "templates": ["x"]},
            "exactly once",
        ),
        (
            {**ZERO_SHOT, "templates": ["{0.x}{}"]},
            "exactly once",
        ),
        ({**ZERO_SHOT, "architecture": "open_clip:ViT-B-16-SigLIP"}, "features only"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_refused_with_a_reason(changes, word):
    with pytest.raises(SpecError, match=word):
        ModelSpec.from_json({"architecture": "timm:resnet18", **changes})


def test_text_towers_of_a_hub_are_refused():
    config = {**TINY_CLIP, "text_cfg": {"hf_model_name": "somebody/bert"}}
    with pytest.raises(SpecError, match="no network"):
        clip_spec(config=json.dumps(config))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(GOOD[0].to_json())), value=json_values)
def test_whatever_json_holds_only_a_spec_error_comes_out(name, value):
    try:
        spec = ModelSpec.from_json({**GOOD[0].to_json(), name: value})
    except SpecError as refusal:
        spec, sentence = None, refusal.sentence
    else:
        sentence = "Fine."
    assert sentence.endswith(".")
    assert spec is None or ModelSpec.from_json(spec.to_json()) == spec


def test_the_catalogue_agrees_with_the_packages_themselves():
    import open_clip
    import timm

    assert set(catalogue.timm_names()) == set(timm.list_models())
    assert set(catalogue.open_clip_names()) == set(open_clip.list_models())


def test_every_name_of_the_catalogue_makes_a_description_and_can_be_found():
    for architecture in catalogue.architectures():
        if architecture.name != "open_clip:custom":
            assert ModelSpec(architecture.name).architecture == architecture.name
    assert catalogue.search("vit b 32")[0].name == "open_clip:ViT-B-32"
    assert catalogue.search("RESNET18")[0].name == "timm:resnet18"
    assert catalogue.search("nothing like this") == []
