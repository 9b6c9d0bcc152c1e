//! From scores to numbers that can be compared.
//!
//! | file | what is in it |
//! |---|---|
//! | `evaluation.rs` | collects scores batch by batch |
//! | `report.rs` | the numbers, as they are printed and saved |
//! | `scores.rs` | what one picture's scores say |
//! | `calibration.rs` | whether confidence is accuracy |
//! | `confusion.rs` | which class is taken for which, as CSV and PNG |

mod calibration;
mod confusion;
mod evaluation;
mod report;
mod scores;

pub use confusion::Confusion;
pub use evaluation::Evaluation;
pub use report::{Average, ClassReport, Mistake, Report};
