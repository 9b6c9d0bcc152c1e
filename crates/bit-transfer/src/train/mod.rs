//! Fine-tuning: the recipe, its steps, and runs that can be killed and resumed.
//!
//! | file | what is in it |
//! |---|---|
//! | `recipe.rs`, `facts.rs`, `freeze.rs` | what a run does, number by number, by what is known of the data |
//! | `targets.rs`, `mixup.rs`, `loss.rs` | from labels to the loss |
//! | `trainer.rs` | one optimizer step |
//! | `parallel.rs` | its loss and gradients, part by part, on one device or several |
//! | `parameters.rs`, `optimizer.rs` | gradients into steps, by parameter |
//! | `evaluate.rs` | scores over a whole set |
//! | `state.rs`, `identity.rs` | everything a step depends on, in one file; what tells runs apart |
//! | `run.rs`, `folder.rs` | from the first step to the result, with checkpoints |
//! | `options.rs`, `observer.rs`, `outcome.rs` | what goes into a run, who watches it, what it comes to |
//! | `log.rs`, `events.rs`, `card.rs` | what is written beside: JSONL, TensorBoard, the model card |

mod card;
mod evaluate;
mod events;
mod facts;
mod folder;
mod freeze;
mod identity;
mod log;
mod loss;
mod mixup;
mod observer;
mod optimizer;
mod options;
mod outcome;
mod parallel;
mod parameters;
mod recipe;
mod run;
mod state;
mod targets;
#[cfg(test)]
mod test_support;
mod trainer;

pub(crate) use card::{CardFacts, model_card};
pub use evaluate::evaluate;

pub use facts::DataFacts;
pub(crate) use folder::{open_result, write_for_timm, write_whole};
pub use freeze::Freeze;
pub use mixup::Mix;
pub use observer::Observer;
pub use options::{RunData, RunOptions};
pub use outcome::{Outcome, Score};
pub use recipe::{OptimizerKind, Recipe, RecipeOptions};
pub use run::finetune;
pub(crate) use trainer::classifier;
pub use trainer::{StepReport, Trainer};
