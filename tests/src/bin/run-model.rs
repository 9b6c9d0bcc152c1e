//! Runs a model on stored pixels and writes every output: `cargo xtask parity` compares them with transformers'.

use anyhow::{Context, Result, bail};
use bit_model::{BitBackbone, BitForImageClassification, BitModel};
use bit_pretrained::{LoadOptions, Pretrained, PretrainedModel};
use bit_tests::runner::{Arguments, Outputs};
use burn::tensor::Tensor;

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let pixel_values = arguments.pixel_values()?;
    let pretrained = Pretrained::open(&arguments.folder)?;
    let architecture = pretrained
        .config()
        .extra
        .get("architectures")
        .and_then(|names| names[0].as_str());
    let run = match architecture {
        Some(BitModel::ARCHITECTURE) => base,
        Some(BitForImageClassification::ARCHITECTURE) => classifier,
        Some(BitBackbone::ARCHITECTURE) => backbone,
        other => bail!("config.json names no class that can be run: {other:?}"),
    };
    let outputs = run(&pretrained, pixel_values)?;
    outputs.write(
        arguments
            .outputs
            .as_deref()
            .context("no file for the outputs was given")?,
    )
}

fn base(pretrained: &Pretrained, pixel_values: Tensor<4>) -> Result<Outputs> {
    let model = load::<BitModel>(pretrained, &pixel_values)?;
    base_outputs(&model, pixel_values)
}

fn base_outputs(model: &BitModel, pixel_values: Tensor<4>) -> Result<Outputs> {
    let found = model.forward_with_hidden_states(pixel_values)?;
    let mut outputs = Outputs::default();
    outputs.add("last_hidden_state", &found.last_hidden_state);
    outputs.add("pooler_output", &found.pooler_output);
    outputs.add_all("hidden_states", &found.hidden_states.unwrap_or_default());
    Ok(outputs)
}

fn classifier(pretrained: &Pretrained, pixel_values: Tensor<4>) -> Result<Outputs> {
    let model = load::<BitForImageClassification>(pretrained, &pixel_values)?;
    let mut outputs = base_outputs(&model.bit, pixel_values.clone())?;
    outputs.add("logits", &model.forward(pixel_values)?.logits);
    Ok(outputs)
}

fn backbone(pretrained: &Pretrained, pixel_values: Tensor<4>) -> Result<Outputs> {
    let found = load::<BitBackbone>(pretrained, &pixel_values)?.forward_with_hidden_states(pixel_values)?;
    let mut outputs = Outputs::default();
    outputs.add_all("feature_maps", &found.feature_maps);
    outputs.add_all("hidden_states", &found.hidden_states.unwrap_or_default());
    Ok(outputs)
}

fn load<M: PretrainedModel>(pretrained: &Pretrained, pixel_values: &Tensor<4>) -> Result<M> {
    Ok(pretrained
        .load(LoadOptions::default(), &pixel_values.device())?
        .model)
}
