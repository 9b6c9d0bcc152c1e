"""The small cases that this project and transformers must agree on: one table, used by fixtures and parity.

Each case is a `BitConfig` as keyword arguments, what to run it as, and an input shape. Together they cover
every option of the configuration; `mixed-N` draws all options at random, for their combinations.
"""

import random
from dataclasses import dataclass, field

BASE = dict(
    num_channels=1,
    embedding_size=8,
    hidden_sizes=[8, 16],
    depths=[1, 1],
    num_groups=2,
    num_labels=3,
)

# One block: enough to see an activation, and little to store.
ONE_BLOCK = dict(hidden_sizes=[16], depths=[1], num_groups=4)

# The configuration of transformers' own BiT tests.
TRANSFORMERS_TEST = dict(num_channels=3, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 2, 1], num_groups=1)

# transformers' table without prelu and xielu, which have parameters of their own.
ACTIVATIONS = [
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
    "gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu2",
    "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh",
]  # fmt: skip


@dataclass
class Case:
    name: str
    config: dict = field(default_factory=dict)
    model: str = "BitForImageClassification"
    height: int = 32
    width: int = 32
    batch: int = 2
    # Which loss to ask for: labels as class indices, as several yes-or-no flags, or as numbers.
    labels: str | None = None
    gradients: bool = False

    def options(self) -> dict:
        return BASE | self.config


def four_stages(**options) -> dict:
    """Narrow, deep enough for every output stride, and with second blocks, whose dilation differs."""
    return dict(hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 2, 2]) | options


def strided(layer_type: str, output_stride: int) -> Case:
    config = four_stages(layer_type=layer_type, output_stride=output_stride)
    return Case(f"{layer_type}-output-stride-{output_stride}", config, "BitModel", 49, 48, 1)


def padded(layer_type: str, padding: str | None, dynamic: bool) -> Case:
    name = f"{layer_type}-{(padding or 'none').lower()}-padding" + ("-dynamic-stem" if dynamic else "")
    config = dict(layer_type=layer_type, global_padding=padding, embedding_dynamic_padding=dynamic)
    return Case(name, config, "BitModel", 33, 47, 1)


def mixed(seed: int) -> Case:
    draw = random.Random(f"bit-burn mixed {seed}")
    stages = draw.randint(2, 4)
    config = dict(
        num_channels=draw.choice([1, 3, 4]),
        embedding_size=8,
        # The last size is a multiple of 8: another one cannot run, since the final norm is made unrounded.
        hidden_sizes=[*(draw.choice([8, 12, 16]) for _ in range(stages - 1)), 16],
        depths=[draw.randint(1, 2) for _ in range(stages)],
        layer_type=draw.choice(["preactivation", "bottleneck"]),
        hidden_act=draw.choice(["relu", "gelu", "silu", "mish"]),
        global_padding=draw.choice([None, "SAME"]),
        num_groups=draw.choice([1, 2, 4]),
        drop_path_rate=draw.choice([0.0, 0.3]),
        embedding_dynamic_padding=draw.choice([True, False]),
        output_stride=draw.choice([8, 16, 32]),
        num_labels=draw.randint(1, 5),
    )
    return Case(f"mixed-{seed}", config, height=draw.randint(24, 56), width=draw.randint(24, 56), batch=1)


CASES = [
    Case("transformers-test", TRANSFORMERS_TEST, batch=3),
    Case("transformers-test-bottleneck", TRANSFORMERS_TEST | dict(layer_type="bottleneck"), batch=1),
    *[padded(layer, padding, dynamic)
      for layer in ("preactivation", "bottleneck") for padding in (None, "SAME") for dynamic in (False, True)],
    *[strided(layer, stride) for layer in ("preactivation", "bottleneck") for stride in (8, 16, 32)],
    *[Case(f"activation-{name}", ONE_BLOCK | dict(hidden_act=name), height=16, width=16) for name in ACTIVATIONS],
    Case("activation-gelu-bottleneck", ONE_BLOCK | dict(hidden_act="gelu", layer_type="bottleneck"), height=16, width=16),
    Case("three-channels", dict(num_channels=3), height=28, width=28),
    Case("four-channels", dict(num_channels=4), height=31, width=33),
    Case("one-label", dict(num_labels=1)),
    Case("no-labels", dict(num_labels=0)),
    Case("forty-labels", dict(num_labels=40)),
    Case("one-channel-a-group", dict(num_groups=8)),
    Case("drop-path-does-nothing-at-inference", dict(drop_path_rate=0.5, depths=[2, 2])),
    Case("wide", dict(embedding_size=24, hidden_sizes=[24, 48]), "BitModel", batch=1),
    Case("sizes-are-rounded-to-eights", dict(hidden_sizes=[10, 12, 21, 16], depths=[1, 1, 1, 1]), "BitModel"),
    Case("width-factor", dict(layer_type="bottleneck", width_factor=2), "BitModel"),
    Case("one-pixel", dict(), "BitModel", 1, 1),
    Case("tall-and-thin", dict(), "BitModel", 90, 3, 1),
    Case("batch-of-five", dict(), batch=5, height=20, width=24),
    Case("backbone", TRANSFORMERS_TEST | dict(out_features=["stage2", "stage3", "stage4"]), "BitBackbone", batch=3),
    Case("backbone-without-out-features", BASE, "BitBackbone", 24, 24),
    Case("backbone-stem-and-negative-index", dict(out_indices=[0, -1]), "BitBackbone", 40, 37, 1),
    Case("backbone-bottleneck", dict(layer_type="bottleneck", out_indices=[1, 2]), "BitBackbone", 33, 31, 1),
    *[mixed(seed) for seed in range(6)],
    Case("loss-single-label", dict(problem_type="single_label_classification"), labels="index", gradients=True, batch=3,
         height=24, width=27),
    Case("loss-multi-label", dict(num_channels=3, problem_type="multi_label_classification", layer_type="bottleneck",
         global_padding="SAME", embedding_dynamic_padding=True), labels="flags", gradients=True, height=33, width=30),
    Case("loss-regression", dict(problem_type="regression", num_labels=1, hidden_act="gelu", output_stride=8,
         hidden_sizes=[8, 8, 16], depths=[1, 1, 2]), labels="numbers", gradients=True, height=37, batch=3),
    Case("loss-regression-of-three", ONE_BLOCK | dict(problem_type="regression"), labels="numbers", height=16, width=16),
    Case("loss-inferred-single-label", ONE_BLOCK, labels="index", height=16, width=16),
    Case("loss-inferred-multi-label", ONE_BLOCK, labels="flags", height=16, width=16),
    Case("loss-inferred-regression", ONE_BLOCK | dict(num_labels=1), labels="numbers", height=16, width=16),
]  # fmt: skip
