//! The model card that goes with a trained model.

use std::sync::Arc;

use crate::data::{DataSet, LabelTask};
use crate::metrics::Report;
use crate::train::options::RunData;
use crate::train::outcome::Score;
use crate::train::recipe::Recipe;

/// What a card tells.
pub(crate) struct CardFacts<'a> {
    pub model: &'a str,
    /// The Hub's repository that the weights come from.
    pub base_model: Option<&'a str>,
    pub data: &'a str,
    pub sets: &'a RunData,
    /// How many images could not be read.
    pub left_out: usize,
    /// Side of the square that images are resized to.
    pub crop: usize,
    /// How it was trained, in a sentence.
    pub method: &'a str,
    /// The same in JSON.
    pub recipe: String,
    pub validation: Option<&'a Score>,
    pub test: Option<&'a Report>,
}

/// The text of `README.md`, with the metadata that the Hub reads in front.
pub(crate) fn model_card(facts: &CardFacts<'_>) -> String {
    let CardFacts {
        model,
        base_model,
        data,
        sets,
        crop,
        method,
        recipe,
        ..
    } = facts;
    let base_model = base_model.map_or(String::new(), |name| format!("base_model: {name}\n"));
    let classes: Vec<String> = sets
        .train
        .classes
        .iter()
        .map(|class| format!("`{}`", plain(class)))
        .collect();
    let scores = scores(facts);
    let (model, data) = (plain(model), plain(data));
    let labels = match sets.train.task {
        LabelTask::SingleLabel => "one label an image",
        LabelTask::MultiLabel => "several labels an image",
    };
    let left_out = match facts.left_out {
        0 => String::new(),
        1 => " 1 of them could not be used and was left out.".to_owned(),
        count => format!(" {count} of them could not be used and were left out."),
    };
    let count = |set: &Option<Arc<DataSet>>| set.as_ref().map_or(0, |set| set.len());
    format!(
        "---\n\
         library_name: transformers\n\
         pipeline_tag: image-classification\n\
         {base_model}\
         tags:\n- bit\n- image-classification\n\
         ---\n\n\
         # {model}, trained on {data}\n\n\
         A Big Transfer network ([Kolesnikov et al. 2020](https://arxiv.org/abs/1912.11370)), trained with bit-burn. \
         {method}\n\n\
         ## Data\n\n\
         {} images for training, {} for validation, {} for testing; {labels}, {} classes: {}.{left_out}\n\n\
         Images are resized to {crop}x{crop} pixels (bilinear) and scaled to [-1, 1]; `preprocessor_config.json` \
         says so.\n\n\
         ## Scores\n\n{scores}\n\
         ## Recipe\n\n\
         ```json\n{}\n```\n",
        sets.train.len(),
        count(&sets.validation),
        count(&sets.test),
        classes.len(),
        shortened(&classes),
        recipe.trim_end(),
    )
}

/// How a run came to its result after so many steps, for [`CardFacts::method`].
pub(crate) fn training_method(recipe: &Recipe, steps: usize, result: Option<&Score>) -> String {
    let start = match recipe.from_scratch {
        true => "random weights",
        false => "the pretrained weights",
    };
    let chosen = result.filter(|score| score.steps != steps);
    let chosen = chosen
        .map(|Score { steps, .. }| format!(" These are the weights after {steps} steps, which scored best."));
    format!(
        "It started from {start}. It follows the BiT-HyperRule with the numbers below; {steps} of {} steps were taken.{}",
        recipe.schedule.end,
        chosen.unwrap_or_default()
    )
}

fn scores(facts: &CardFacts<'_>) -> String {
    let rows = [
        facts
            .validation
            .map(|score| ("validation", score.loss, score.top1, score.top5)),
        facts
            .test
            .map(|report| ("test", report.loss, report.top1, report.top5)),
    ];
    let rows: String = rows
        .into_iter()
        .flatten()
        .map(|(part, loss, top1, top5)| {
            format!(
                "| {part} | {:.2}% | {:.2}% | {loss:.4} |\n",
                100.0 * top1,
                100.0 * top5
            )
        })
        .collect();
    match rows.as_str() {
        "" => "Nothing was measured: there was neither validation nor test data.\n".to_owned(),
        rows => format!("| data | top-1 | top-5 | loss |\n|---|---|---|---|\n{rows}"),
    }
}

fn shortened(classes: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = classes[..classes.len().min(SHOWN)].join(", ");
    match classes.len() > SHOWN {
        true => format!("{shown}, …"),
        false => shown,
    }
}

/// A name from outside, as one line without Markdown's own signs.
fn plain(name: &str) -> String {
    let kept = |c: &char| !c.is_control() && !"`*[]<>|#\\".contains(*c);
    name.chars().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_model_data_scores_and_recipe() {
        let task = LabelTask::SingleLabel;
        let train = Arc::new(DataSet {
            classes: vec!["cat".into(), "d`o\ng".into()],
            examples: Vec::new(),
            task,
        });
        let score = Score {
            steps: 500,
            loss: 0.25,
            top1: 0.975,
            top5: 1.0,
        };
        let card = model_card(&CardFacts {
            model: "google/bit-50",
            base_model: Some("google/bit-50"),
            data: "pets",
            sets: &RunData {
                train,
                validation: None,
                test: None,
            },
            left_out: 3,
            crop: 128,
            method: "500 of 500 steps were taken.",
            recipe: "{\"l2\": 1024}\n".to_owned(),
            validation: Some(&score),
            test: None,
        });
        for part in [
            "base_model: google/bit-50\n",
            "# google/bit-50, trained on pets\n",
            "2 classes: `cat`, `dog`. 3 of them could not be used and were left out.",
            "| validation | 97.50% | 100.00% | 0.2500 |",
            "{\"l2\": 1024}\n```",
            "500 of 500 steps",
        ] {
            assert!(card.contains(part), "no `{part}` in {card}");
        }
    }
}
